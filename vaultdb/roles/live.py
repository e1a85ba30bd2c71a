"""Read what is true in a database about access: every fact, by one query on the catalogues."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from vaultdb.db.quoting import parts_of, qualified
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.roles.fact import Fact

if TYPE_CHECKING:
    from vaultdb.db.role_names import RoleNames

_FACTS = text(shipped_sql("vaultdb.roles", "facts"))
_SET = text("""
    SELECT pg_catalog.set_config('search_path', :path, true),
      pg_catalog.set_config('jit', :jit, true)
""")
_NOW = text("""
    SELECT pg_catalog.current_setting('search_path') AS path,
      pg_catalog.current_setting('jit') AS jit
""")


def live_facts(
    connection: Connection, schemas: Collection[str], names: RoleNames
) -> frozenset[Fact]:
    """Return every fact about access in the database of `connection`.

    The catalogues are open to everybody, so any login sees the same facts. A table without
    row-level security has no `rls` fact; what an owner may do to its own object is no fact.

    Args:
        connection: in a transaction, or about to begin one; its search path is left as it was.
        schemas: names, unquoted, of the schemas to look into.
        names: the capability roles; those roles, their members and vaultdb's logins are looked at.

    """
    before = connection.execute(_NOW).one()
    # Compiling this query takes a hundred times longer than running it.
    connection.execute(_SET, {"path": "", "jit": "off"})
    rows = connection.execute(
        _FACTS, {"schemas": list(schemas), "prefix": names.prefix, "roles": list(names.all)}
    )
    found = frozenset(_uniform(Fact(*row)) for row in rows)
    connection.execute(_SET, {"path": before.path, "jit": before.jit})
    return found


def _uniform(fact: Fact) -> Fact:
    """Quote the words that only some versions of PostgreSQL reserve."""
    if fact.kind in {"table", "column", "sequence", "schema"} or fact.fact in {"policy", "trigger"}:
        return replace(fact, object=qualified(*parts_of(fact.object)))
    return fact
