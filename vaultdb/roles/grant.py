"""What one role may do with a table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields

from vaultdb.errors import ConfigurationError

Columns = bool | Collection[str]
"""True for the whole table, also for columns that come later; or the names of columns."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a role may do with a table: all of it, some columns, or nothing.

    Args:
        select: which columns may be read; True for the table.
        insert: which columns may be given when a row is inserted; True for the table.
        update: which columns may be changed; True for the table.
        delete: whether rows may be deleted.

    Raises:
        ConfigurationError: a name of a column stands where a collection of names must.

    """

    select: Columns = False
    insert: Columns = False
    update: Columns = False
    delete: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.delete, bool):
            raise ConfigurationError("Grant(delete=) is True or False: rows are deleted whole")
        for name, columns in self:
            if not isinstance(columns, bool):
                object.__setattr__(self, name, _names(f"Grant({name}=)", columns))

    def __iter__(self) -> Iterator[tuple[str, Columns]]:
        """Give each privilege, in lower case, with its columns."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))

    def __bool__(self) -> bool:
        return any(columns for _, columns in self)


PRIVILEGES = tuple(field.name for field in fields(Grant))
"""What can be declared. The others are not for applications: TRUNCATE passes row-level security
and triggers, REFERENCES and TRIGGER let a role put its own code in the way of others."""


def grant_of(argument: str, privileges: Grant | Collection[str]) -> Grant:
    """Return a grant of whole tables from words: `"select insert"` or `{"select", "insert"}`.

    Args:
        argument: what the words were given as, for the error's text.
        privileges: words in any case; a `Grant` is returned as it is.

    Raises:
        ConfigurationError: there is no such privilege, or it is not for applications.

    """
    if isinstance(privileges, Grant):
        return privileges
    words = privileges.replace(",", " ").split() if isinstance(privileges, str) else privileges
    wanted = {word.lower() for word in words}
    unknown = sorted(wanted.difference(PRIVILEGES))
    if unknown:
        raise ConfigurationError(
            f"{argument} names the privilege {unknown[0]!r}: choose from {', '.join(PRIVILEGES)}"
        )
    return Grant(**dict.fromkeys(wanted, True))


def _names(argument: str, columns: Collection[str]) -> tuple[str, ...]:
    if isinstance(columns, str):
        raise ConfigurationError(
            f"{argument} takes a collection of names: write [{columns!r}] for one column"
        )
    return tuple(dict.fromkeys(columns))
