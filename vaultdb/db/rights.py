"""What a login may do that the application never needs, and an attacker would."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from vaultdb.db.quoting import quote_name
from vaultdb.db.role_names import RoleNames
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings, Settings

POWERFUL = (
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_execute_server_program",
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_maintain",
    "pg_create_subscription",
    "pg_signal_backend",
)
"""Predefined roles that reach other rows, other sessions or the server's files."""

APPLICATIONS = frozenset({None, "app", "reader"})
"""Roles of the settings whose login must not be able to do harm; a migrator's or officer's is."""

REMEMBERED = 32
"""Logins that have been looked at: several leased ones may overlap."""

LISTED = 10
"""Rights that a text lists; the rest is counted."""

_QUERY = shipped_sql("vaultdb.db", "excess_rights")
_SEEN = "_vaultdb_rights_of"


class ExcessRightsWarning(UserWarning):
    """The login could do harm, and the configuration allows it; the text lists how."""


@dataclass(frozen=True, slots=True)
class ExcessRight:
    """One thing too many."""

    login: str
    text: str
    """For the reader, names quoted as in SQL."""


class _Row(NamedTuple):
    """One row of the query: what, on what, through which role, by which login."""

    via: str
    kind: str
    what: str
    schema: str | None
    object: str | None
    login: str


def excess_rights(
    connection: DBAPIConnection, names: RoleNames, *, may_add_keys: bool = False
) -> list[ExcessRight]:
    """Return what the session's login may do beyond an application's needs, in one query.

    A role set at login does not matter: the session could reset it.

    Args:
        connection: of that login, in any role; psycopg's, or SQLAlchemy's around it.
        names: of the capability roles.
        may_add_keys: whether INSERT on `vaultdb.data_key` is needed, for `create_keys`.

    """
    closed = [names.owner, names.audit_owner, *POWERFUL]
    cursor = connection.cursor()
    try:
        cursor.execute(_QUERY, {"closed_roles": closed, "may_add_keys": may_add_keys})
        rows = [_Row(*row) for row in cursor.fetchall()]
    finally:
        cursor.close()
    return list(dict.fromkeys(ExcessRight(row.login, _words(row)) for row in rows))


def refusal(rights: Sequence[ExcessRight], names: RoleNames) -> str:
    """Return the text that lists rights and says what to do instead."""
    listed = [right.text for right in rights[:LISTED]]
    if len(rights) > LISTED:
        listed.append(f"and {len(rights) - LISTED} more")
    return (
        f"login {quote_name(rights[0].login)} may do more than the application needs:"
        f" {'; '.join(listed)}; give the application a login that is only a member of"
        f" {quote_name(names.rw)}, and run: vaultdb roles apply"
        " (or set VAULTDB_ALLOW_EXCESS_RIGHTS=true)"
    )


def refuse_excess_rights(engine: Engine, settings: Settings) -> None:
    """Look at each login of `engine` at its first connection, and refuse one that could do harm.

    With `database.allow_excess_rights` it is one warning. A leased login is looked at again when
    it is replaced. Nothing happens on SQLite, or when the engine is told twice.

    Args:
        engine: the application's; the `sync_engine` of an async one. A migrator's has more rights.
        settings: all of them.

    """
    if engine.dialect.name != "postgresql" or hasattr(engine.dialect, _SEEN):
        return
    seen: deque[str] = deque(maxlen=REMEMBERED)
    setattr(engine.dialect, _SEEN, seen)
    database = settings.database
    names = RoleNames.of(database)

    @event.listens_for(engine, "connect")
    def look(dbapi: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        driver: Any = getattr(dbapi, "driver_connection", dbapi)
        login = driver.info.user
        if login in seen:
            return
        rights = excess_rights(dbapi, names, may_add_keys=settings.create_keys)
        dbapi.rollback()
        if rights:
            _object(dbapi, refusal(rights, names), database, is_first=not seen)
        seen.append(login)


def _object(dbapi: Any, problem: str, database: DatabaseSettings, *, is_first: bool) -> None:
    if not database.allow_excess_rights:
        dbapi.close()
        raise ConfigurationError(problem)
    if is_first:
        note = f"database.allow_excess_rights is set: {problem}"
        warnings.warn(note, ExcessRightsWarning, stacklevel=2)


def _words(row: _Row) -> str:
    via = "" if row.via == row.login else f" (through {_grantee(row.via)})"
    match row.kind:
        case "attribute":
            return ("superuser" if row.what == "SUPERUSER" else row.what) + via
        case "member":
            return f"member of {quote_name(row.what)}"
        case "owner":
            return f"owner of {_name(row.schema, row.object)}{via}"
        case "schema" | "database":
            place = f"{row.kind} {_name(row.schema, row.object)}"
            return (f"owner of {place}" if row.what == "owner" else f"CREATE on {place}") + via
        case _:
            return f"{row.what} on {_name(row.schema, row.object)}{via}"


def _grantee(name: str) -> str:
    return name if name == "PUBLIC" else quote_name(name)


def _name(*parts: str | None) -> str:
    return ".".join(quote_name(part) for part in parts if part is not None)
