"""Names in SQL, quoted always: then no list of reserved words has to agree with the server's."""

from __future__ import annotations

from collections.abc import Iterable

from vaultdb.errors import ConfigurationError
from vaultdb.roles.fact import PUBLIC


def identifier(name: str) -> str:
    """Quote a name.

    Raises:
        ConfigurationError: empty, or holds a NUL, which PostgreSQL cannot store.

    """
    if not name or "\0" in name:
        raise ConfigurationError(f"{name!r} is no name in PostgreSQL; leave NUL out, and give one")
    return '"' + name.replace('"', '""') + '"'


def qualified(name: str, schema: str | None) -> str:
    """Quote a table's, sequence's or function's name with its schema, if it has one."""
    return identifier(name) if schema is None else f"{identifier(schema)}.{identifier(name)}"


def grantee(role: str) -> str:
    """Quote a role; `PUBLIC` is everybody, as in SQL."""
    return PUBLIC if role.upper() == PUBLIC else identifier(role)


def listed(names: Iterable[str]) -> str:
    """Quote several names."""
    return ", ".join(identifier(name) for name in names)


def literal(value: str) -> str:
    """Quote a string."""
    if "\0" in value:
        raise ConfigurationError("a string in PostgreSQL cannot hold NUL; leave it out")
    return "'" + value.replace("'", "''") + "'"
