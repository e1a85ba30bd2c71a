"""vaultdb's own functions: what their source must be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from vaultdb.db.schema import SCHEMA
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.roles.fact import Fact
from vaultdb.roles.snapshot import Snapshot

BIND_ROW = f"{SCHEMA}.bind_row(bytea,bytea)"

_FILE = shipped_sql("vaultdb.roles", "bind_row")

BIND_ROW_SQL = _FILE[_FILE.index("CREATE") :].strip()
"""Makes `bind_row` what the migration made; a test compares the two."""


def function_facts(snapshot: Snapshot) -> Iterator[Fact]:
    """Return what shall hold about the functions of the schema `vaultdb`, once it is migrated."""
    if snapshot.owner("function", BIND_ROW) is not None:
        yield source_fact(BIND_ROW, BIND_ROW_SQL, "VOLATILE STRICT")


def source_fact(function: str, script: str, attributes: str) -> Fact:
    """Return the fact about the source of a plpgsql function that `script` makes."""
    source = script.partition("$$")[2].partition("$$")[0]
    digest = hashlib.sha256(source.encode()).hexdigest()
    return Fact("source", "plpgsql", function, "", digest, attributes)
