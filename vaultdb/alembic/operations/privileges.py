"""`op.grant` and `op.revoke`: privileges on tables, their columns, and sequences."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from alembic.operations import Operations

from vaultdb.alembic.operations.names import grantee, listed, qualified
from vaultdb.alembic.operations.operation import VaultOperation, given
from vaultdb.errors import ConfigurationError

Kind = Literal["table", "sequence"]

PRIVILEGES: dict[str, tuple[str, ...]] = {
    "table": (
        "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN",
    ),
    "sequence": ("SELECT", "UPDATE", "USAGE"),
}  # fmt: skip
COLUMN_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "REFERENCES")


class PrivilegeOperation(VaultOperation):
    """A GRANT or a REVOKE.

    Args:
        privileges: each spelled out; `ALL` would mean something else after an upgrade.
        name: the table or sequence.
        role: the grantee, as it is called, not quoted.
        columns: only these columns of the table.
        kind: what `name` is.
        schema: of the table or sequence.

    Raises:
        ConfigurationError: a privilege that does not exist for such an object.

    """

    def __init__(
        self,
        privileges: Collection[str] | str,
        name: str,
        role: str,
        *,
        columns: Collection[str] | None = None,
        kind: Kind = "table",
        schema: str | None = None,
    ) -> None:
        self.privileges = _privileges(privileges, kind, columns)
        self.name = str(name)
        self.role = role
        self.columns = None if columns is None else list(columns)
        self.kind: Kind = kind
        self.schema = schema

    def arguments(self) -> tuple[Any, ...]:
        """Return privileges, object and role."""
        return (self.privileges, self.name, self.role)

    def options(self) -> dict[str, Any]:
        """Return columns, kind and schema."""
        kind = None if self.kind == "table" else self.kind
        return given(columns=self.columns, kind=kind, schema=self.schema)

    def _what(self) -> str:
        columns = "" if self.columns is None else f" ({listed(self.columns)})"
        privileges = ", ".join(privilege + columns for privilege in self.privileges)
        return f"{privileges} ON {self.kind.upper()} {qualified(self.name, self.schema)}"


@Operations.register_operation("grant")
class GrantOp(PrivilegeOperation):
    """Give privileges to one role."""

    opname = "grant"

    @classmethod
    def grant(
        cls,
        operations: Operations,
        privileges: Collection[str] | str,
        table: str,
        role: str,
        *,
        columns: Collection[str] | None = None,
        kind: Kind = "table",
        schema: str | None = None,
    ) -> None:
        """Give privileges on a table, some of its columns, or a sequence to a role."""
        operations.invoke(cls(privileges, table, role, columns=columns, kind=kind, schema=schema))

    def statements(self) -> list[str]:
        """Return GRANT."""
        return [f"GRANT {self._what()} TO {grantee(self.role)}"]

    def reverse(self) -> RevokeOp:
        """Return the opposite."""
        return RevokeOp(*self.arguments(), **self.options())


@Operations.register_operation("revoke")
class RevokeOp(PrivilegeOperation):
    """Take privileges from one role."""

    opname = "revoke"

    @classmethod
    def revoke(
        cls,
        operations: Operations,
        privileges: Collection[str] | str,
        table: str,
        role: str,
        *,
        columns: Collection[str] | None = None,
        kind: Kind = "table",
        schema: str | None = None,
    ) -> None:
        """Take privileges on a table, some of its columns, or a sequence from a role.

        PostgreSQL takes a table's privilege from the columns too: grant those again afterwards.
        """
        operations.invoke(cls(privileges, table, role, columns=columns, kind=kind, schema=schema))

    def statements(self) -> list[str]:
        """Return REVOKE."""
        return [f"REVOKE {self._what()} FROM {grantee(self.role)}"]

    def reverse(self) -> GrantOp:
        """Return the opposite."""
        return GrantOp(*self.arguments(), **self.options())


def _privileges(
    names: Collection[str] | str, kind: str, columns: Collection[str] | None
) -> list[str]:
    if isinstance(names, str):
        names = names.replace(",", " ").split()
    if kind not in PRIVILEGES:
        raise ConfigurationError(f"kind={kind!r}: privileges are on a table or on a sequence")
    known = PRIVILEGES[kind] if columns is None else COLUMN_PRIVILEGES
    if columns is not None and (kind != "table" or not columns or isinstance(columns, str)):
        raise ConfigurationError("columns= takes the names of columns of a table, at least one")
    upper = {name.upper() for name in names}
    if not upper or not upper.issubset(known):
        unknown = ", ".join(sorted(upper - set(known))) or "none"
        of = "a column" if columns is not None else f"a {kind}"
        raise ConfigurationError(f"privileges on {of} are {', '.join(known)}, not {unknown}")
    return [name for name in known if name in upper]
