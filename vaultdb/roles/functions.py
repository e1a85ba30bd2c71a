"""vaultdb's own functions, and the trigger on the key table: what they must be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from vaultdb.db.quoting import quote_name
from vaultdb.db.schema import SCHEMA
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.roles.fact import Fact
from vaultdb.roles.snapshot import Snapshot

BIND_ROW = f"{SCHEMA}.bind_row(bytea,bytea)"

_FILE = shipped_sql("vaultdb.roles", "bind_row")

BIND_ROW_SQL = _FILE[_FILE.index("CREATE") :].strip()
"""Makes `bind_row` what the migration made; a test compares the two."""

KEEP_RESTRICTIONS = f"{SCHEMA}.keep_restrictions()"

_KEEP = shipped_sql("vaultdb.roles", "keep_restrictions")

KEEP_RESTRICTIONS_SQL = tuple(
    part.strip() for part in _KEEP[_KEEP.index("CREATE") :].split(";\n\n")
)
"""The same for the function and the trigger that keep the states of data keys."""

_TRIGGER = f"{SCHEMA}.data_key.keep_restrictions"
_TRIGGER_SQL = (
    f"CREATE TRIGGER keep_restrictions BEFORE UPDATE ON {SCHEMA}.data_key FOR EACH ROW"
    " WHEN (((old.state = 'destroyed'::text) OR (new.state <> old.state)))"
    f" EXECUTE FUNCTION {KEEP_RESTRICTIONS}"
)
"""As PostgreSQL prints it."""


def making(fact: Fact) -> tuple[str, ...]:
    """Return the statements that make a fact about a function of `vaultdb` true; () for others."""
    if fact.object == BIND_ROW:
        return (BIND_ROW_SQL,)
    if fact.object in {KEEP_RESTRICTIONS, _TRIGGER}:
        return KEEP_RESTRICTIONS_SQL
    return ()


def restriction_facts(owner: str) -> Iterator[Fact]:
    """Return what shall hold about the states of data keys.

    Args:
        owner: of the schema `vaultdb`, quoted.

    """
    attributes = "VOLATILE search_path=pg_catalog, pg_temp"
    yield source_fact(KEEP_RESTRICTIONS, KEEP_RESTRICTIONS_SQL[0], attributes)
    yield Fact("trigger", "enabled", _TRIGGER, owner, _TRIGGER_SQL)


def function_facts(snapshot: Snapshot, owner: str) -> Iterator[Fact]:
    """Return what shall hold about the functions of the schema `vaultdb`, once it is migrated."""
    if snapshot.owner("function", BIND_ROW) is not None:
        yield source_fact(BIND_ROW, BIND_ROW_SQL, "VOLATILE STRICT")
    # Revision 0002 makes it, and the jobs; before that, apply makes nothing.
    if snapshot.owner("table", f"{SCHEMA}.job") is not None:
        yield from restriction_facts(quote_name(owner))


def source_fact(function: str, script: str, attributes: str) -> Fact:
    """Return the fact about the source of a plpgsql function that `script` makes."""
    source = script.partition("$$")[2].partition("$$")[0]
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Fact("source", "plpgsql", function, "", digest, attributes)
