"""A privilege on an object, as GRANT, REVOKE and the facts about access name it."""

from __future__ import annotations

from dataclasses import dataclass

from vaultdb.db.quoting import parts_of, qualified, quote_name


@dataclass(frozen=True, slots=True, order=True)
class Privilege:
    """One privilege; the object's name is as PostgreSQL prints it, quoted where it must be.

    Args:
        kind: database, schema, table, column, sequence, function, type or parameter.
        object: `vaultdb`, `vaultdb.realm`, `vaultdb.data_key.wrapped`, `f(bytea)`.
        privilege: SELECT, USAGE, EXECUTE…

    """

    kind: str
    object: str
    privilege: str

    @property
    def clause(self) -> str:
        """What stands between GRANT and TO."""
        if self.kind == "column":
            *table, column = parts_of(self.object)
            return f"{self.privilege} ({quote_name(column)}) ON TABLE {qualified(*table)}"
        return f"{self.privilege} ON {self.kind.upper()} {self.object}"

    def grant(self, role: str) -> str:
        """Return the statement that gives it; `role` is quoted, or PUBLIC."""
        return f"GRANT {self.clause} TO {role}"

    def revoke(self, role: str) -> str:
        """Return the statement that takes it away; of a table, that of its columns goes too."""
        return f"REVOKE {self.clause} FROM {role}"
