"""Who may do what with each table, whatever the reason: the rights as PostgreSQL sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from vaultdb.db.own_path import own_path
from vaultdb.db.role_names import RoleNames
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.roles.snapshot import OPTIONS_PER_MEMBERSHIP

_MATRIX = text(shipped_sql("vaultdb.roles", "matrix"))
_MAJOR = text("SELECT current_setting('server_version_num')::int / 10000")

WORDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "OWNER")
"""In this order; OWNER may change and drop the table, and grant it to others."""


@dataclass(frozen=True, slots=True)
class Right:
    """One privilege of one role on one table."""

    who: str
    can_login: bool
    object: str
    privilege: str
    whole: bool
    """On the whole table; else on some columns."""
    by_set_role: bool
    """Only after SET ROLE."""
    bypasses_rls: bool
    """Row-level security does not hold, for the role or for one that it can take."""

    @property
    def short(self) -> str:
        """`SELECT`, `UPDATE(columns)`, with a star when it takes a SET ROLE."""
        return (
            f"{self.privilege}{'' if self.whole else '(columns)'}{'*' if self.by_set_role else ''}"
        )


def matrix(connection: Connection, schemas: Collection[str], names: RoleNames) -> list[Right]:
    """Return every right of vaultdb's roles and of other logins in some schemas.

    Args:
        connection: any login's; nothing is changed.
        schemas: unquoted.
        names: the capability roles, listed beside the logins.

    """
    with own_path(connection):
        major = connection.scalar(_MAJOR) or 0
        asked = {
            "schemas": list(schemas),
            "roles": list(names.all),
            "reach": "SET" if major >= OPTIONS_PER_MEMBERSHIP else "MEMBER",
        }
        rows = connection.execute(_MATRIX, asked).all()
    found = []
    for row in rows:
        direct = row.on_table or row.on_columns
        whole = row.on_table if direct else row.on_table_by_set_role
        found.append(
            Right(
                row.who, row.can_login, row.object, row.privilege, whole, not direct,
                row.bypasses_rls,
            )
        )  # fmt: skip
    return found


def lines(rights: Iterable[Right]) -> list[tuple[str, str, str]]:
    """Return table, role and its rights in one line each, for people."""
    grouped: dict[tuple[str, bool, str], list[Right]] = defaultdict(list)
    for right in rights:
        grouped[right.object, right.can_login, right.who].append(right)
    return [(table, who, _line(found)) for (table, _, who), found in sorted(grouped.items())]


def _line(found: list[Right]) -> str:
    ordered = sorted(found, key=lambda right: WORDS.index(right.privilege))
    rls = "; passes row-level security" if any(each.bypasses_rls for each in found) else ""
    return ", ".join(each.short for each in ordered) + rls
