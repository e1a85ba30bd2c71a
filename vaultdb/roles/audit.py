"""The audit schema: its facts, and the SQL that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from vaultdb.db.quoting import quote_name
from vaultdb.db.role_names import RoleNames
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.roles.fact import Fact
from vaultdb.roles.functions import source_fact
from vaultdb.roles.operations import AUDIT_SCHEMA, COLUMNS

TABLE = f"{AUDIT_SCHEMA}.operation"
REFUSE = f"{AUDIT_SCHEMA}.refuse_change()"

AUDIT_SQL = shipped_sql("vaultdb.roles", "audit")


def making(owner: str) -> list[str]:
    """Return what makes the table, its function and its triggers, or makes them again.

    Args:
        owner: the audit owner, quoted.

    """
    made = [part.strip().removesuffix(";") for part in AUDIT_SQL.split(";\n\n")]
    return [f"SET LOCAL ROLE {owner}", *made, "RESET ROLE"]


_TRIGGERS = {
    "refuse_change": "BEFORE DELETE OR UPDATE ON vaultdb_audit.operation FOR EACH ROW",
    "refuse_truncate": "BEFORE TRUNCATE ON vaultdb_audit.operation FOR EACH STATEMENT",
}


def audit_facts(names: RoleNames) -> Iterator[Fact]:
    """Return what shall hold about the audit schema."""
    owner = quote_name(names.audit_owner)
    for kind, name in (("schema", AUDIT_SCHEMA), ("table", TABLE), ("function", REFUSE)):
        yield Fact("owner", kind, name, owner)
    yield source_fact(REFUSE, AUDIT_SQL, "VOLATILE search_path=pg_catalog, pg_temp")
    for trigger, when in _TRIGGERS.items():
        name = f"{TABLE}.{trigger}"
        text = f"CREATE TRIGGER {trigger} {when} EXECUTE FUNCTION {REFUSE}"
        yield Fact("trigger", "enabled", name, owner, text)
    for role in (names.owner, names.rotator, names.auditor):
        yield Fact("grant", "schema", AUDIT_SCHEMA, quote_name(role), "USAGE")
    yield Fact("grant", "table", TABLE, quote_name(names.auditor), "SELECT")
    # Who migrates, and who destroys keys, adds to the record and sees none of it.
    for role, column in product((names.owner, names.rotator), COLUMNS):
        yield Fact("grant", "column", f"{TABLE}.{column}", quote_name(role), "INSERT")


def makes(fact: Fact) -> bool:
    """Whether running `making` makes this fact true."""
    if fact.fact in {"trigger", "source"}:
        return fact.object.startswith(f"{AUDIT_SCHEMA}.")
    return fact.fact == "owner" and fact.object in {TABLE, REFUSE}
