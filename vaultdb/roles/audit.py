"""The audit schema: its facts, and the SQL that makes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from vaultdb.db.audit_schema import AUDIT_SCHEMA, WRITTEN
from vaultdb.db.quoting import quote_name
from vaultdb.db.role_names import RoleNames
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.roles.fact import Fact
from vaultdb.roles.functions import source_fact
from vaultdb.roles.operations import COLUMNS
from vaultdb.roles.snapshot import Snapshot

TABLE = f"{AUDIT_SCHEMA}.operation"

TABLES = tuple(
    f"{AUDIT_SCHEMA}.{name}"
    for name in ("operation", "chain", "event", "event_default", "leaf", "checkpoint", "cut")
)
"""What the audit owner owns, beside the partitions of months."""

FUNCTIONS = {
    f"{AUDIT_SCHEMA}.refuse_change()": "VOLATILE search_path=pg_catalog, pg_temp",
    f"{AUDIT_SCHEMA}.make_partitions(integer)": (
        "VOLATILE DEFINER search_path=pg_catalog, pg_temp"
    ),
    f"{AUDIT_SCHEMA}.drop_partition(date,bigint)": (
        "VOLATILE DEFINER search_path=pg_catalog, pg_temp"
    ),
}
"""The functions of the schema, and how each is declared."""

REFUSE = f"{AUDIT_SCHEMA}.refuse_change()"

_PARTITION = re.compile(rf"{AUDIT_SCHEMA}\.event_[0-9]{{4}}_[0-9]{{2}}")

AUDIT_SQL = shipped_sql("vaultdb.roles", "audit")


def making(owner: str) -> list[str]:
    """Return what makes the table, its function and its triggers, or makes them again.

    Args:
        owner: the audit owner, quoted.

    """
    made = [part.strip().removesuffix(";") for part in AUDIT_SQL.split(";\n\n")]
    return [f"SET LOCAL ROLE {owner}", *made, "RESET ROLE"]


_TRIGGERS = {
    "refuse_change": "BEFORE DELETE OR UPDATE ON {table} FOR EACH ROW",
    "refuse_truncate": "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT",
}


def audit_facts(names: RoleNames, snapshot: Snapshot) -> Iterator[Fact]:
    """Return what shall hold about the audit schema; its partitions are those that are there."""
    owner = quote_name(names.audit_owner)
    tables = [*TABLES, *_partitions(snapshot)]
    yield Fact("owner", "schema", AUDIT_SCHEMA, owner)
    for table in tables:
        yield Fact("owner", "table", table, owner)
        for trigger, when in _TRIGGERS.items():
            text = f"CREATE TRIGGER {trigger} {when} EXECUTE FUNCTION {REFUSE}"
            yield Fact("trigger", "enabled", f"{table}.{trigger}", owner, text.format(table=table))
    for function, attributes in FUNCTIONS.items():
        yield Fact("owner", "function", function, owner)
        yield source_fact(function, _source(function), attributes)
    yield from _grants(names)


def _grants(names: RoleNames) -> Iterator[Fact]:
    writers = (
        names.owner, names.rw, names.ro, names.officer,
        names.rotator, names.auditor, names.backup, names.sequencer,
    )  # fmt: skip
    for role in writers:
        yield Fact("grant", "schema", AUDIT_SCHEMA, quote_name(role), "USAGE")
    # Who reads, writes, migrates or verifies adds to the log, and sees none of it by that.
    for role, (table, columns) in product(writers, WRITTEN.items()):
        for column in columns:
            yield _column(table, column, role, "INSERT")
    for role, column in product((names.owner, names.rotator), COLUMNS):
        yield _column("operation", column, role, "INSERT")
    for table in ("operation", *LOG):
        yield _table(table, names.auditor, "SELECT")
    for table in LOG:
        yield _table(table, names.sequencer, "SELECT")
    for table in ("leaf", "checkpoint"):
        yield _table(table, names.sequencer, "INSERT")
    for column in ("sequenced", "done"):
        yield _column("chain", column, names.sequencer, "UPDATE")
    make = f"{AUDIT_SCHEMA}.make_partitions(integer)"
    yield Fact("grant", "function", make, quote_name(names.sequencer), "EXECUTE")


LOG = ("chain", "event", "leaf", "checkpoint", "cut")
"""The tables of the audit log."""


def _table(table: str, role: str, privilege: str) -> Fact:
    return Fact("grant", "table", f"{AUDIT_SCHEMA}.{table}", quote_name(role), privilege)


def _column(table: str, column: str, role: str, privilege: str) -> Fact:
    name = f"{AUDIT_SCHEMA}.{table}.{quote_name(column)}"
    return Fact("grant", "column", name, quote_name(role), privilege)


def _partitions(snapshot: Snapshot) -> list[str]:
    return sorted(
        fact.object
        for fact in snapshot.facts
        if (fact.fact, fact.kind) == ("owner", "table") and _PARTITION.fullmatch(fact.object)
    )


def _source(function: str) -> str:
    """Return the part of the script that makes a function."""
    name = function.partition("(")[0]
    return AUDIT_SQL[AUDIT_SQL.index(f"FUNCTION {name}(") :]


def is_clone(fact: Fact) -> bool:
    """Whether a trigger belongs to that of the partitioned table, and cannot be dropped alone."""
    table, _, trigger = fact.object.rpartition(".")
    is_part = _PARTITION.fullmatch(table) is not None or table == f"{AUDIT_SCHEMA}.event_default"
    return fact.fact == "trigger" and is_part and trigger == "refuse_change"


def makes(fact: Fact) -> bool:
    """Whether running `making` makes this fact true."""
    if fact.fact in {"trigger", "source"}:
        return fact.object.startswith(f"{AUDIT_SCHEMA}.")
    return fact.fact == "owner" and fact.object in {*TABLES, *FUNCTIONS}
