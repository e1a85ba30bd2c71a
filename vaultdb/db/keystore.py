"""The key table in PostgreSQL, on a small pool of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    QueuePool,
    Text,
    any_,
    bindparam,
    func,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.types import TypeEngine

from vaultdb.after_fork import reset_in_children
from vaultdb.db.connect import new_engine
from vaultdb.db.deadline import give_up_after
from vaultdb.db.failures import plain_failures
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.primary import on_primary
from vaultdb.db.realm import check_realm
from vaultdb.db.schema import data_key_table as table
from vaultdb.errors import (
    ConfigurationError,
    KeyUnavailable,
    VaultDBError,
    VaultError,
    VaultUnavailable,
    VaultUntrusted,
)
from vaultdb.keys.naming import describe
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey
from vaultdb.settings import DatabaseSettings, Settings

POOL_SIZE = 2
"""Connections kept open: a warm keyring asks the key table about once in five minutes."""
ANSWER_TIMEOUT = 10.0
"""Seconds for one answer, and for a free connection; as long as `database.connect_timeout` gives
for a new one. Reading keys takes milliseconds, and the application waits for them."""

COLUMNS = (
    table.c.key_id,
    table.c.realm,
    table.c.tenant,
    table.c.keyset,
    table.c.purpose,
    table.c.version,
    table.c.state,
    table.c.kek_version,
    table.c.wrapped,
    table.c.subject,
)
"""What makes a `WrappedKey`, for `wrapped_key`."""

PLACE = (table.c.tenant, table.c.keyset, table.c.purpose, table.c.subject)
"""What makes a `KeyScope`."""


class PostgresKeyStore:
    """Reads and adds wrapped DEKs in `vaultdb.data_key`.

    It is synchronous and has connections of its own, so it does not care what the caller's
    session is doing: a DEK made for a new tenant is committed before any row uses it, and a
    rolled-back transaction takes no key with it. Under asyncio the keyring calls it in a helper
    thread, or inside the greenlet before the cursor executes; both only need it to be thread-safe,
    which it is. It uses `database.primary_url` where that is set, as the engine then reads a
    replica, which may lag behind.

    Args:
        settings: all of them, or their `[database]` section for a fixed login; nothing is opened
            before the first call.
        credentials: share these with an engine; the caller closes them.
        answer_timeout: seconds until a server that does not answer is given up; None for jobs,
            whose statements may take long.

    """

    def __init__(
        self,
        settings: Settings | DatabaseSettings,
        *,
        credentials: Credentials | None = None,
        answer_timeout: float | None = ANSWER_TIMEOUT,
    ) -> None:
        waits: dict[str, Any] = {} if answer_timeout is None else {"pool_timeout": answer_timeout}
        self._engine = new_engine(
            on_primary(settings),
            credentials=credentials,
            poolclass=QueuePool,
            pool_size=POOL_SIZE,
            max_overflow=POOL_SIZE,
            pool_pre_ping=True,
            pool_recycle=600,
            **waits,
        )
        if self._engine.dialect.name != "postgresql":
            raise ConfigurationError(
                f"the key table needs PostgreSQL, database.url names {self._engine.dialect.name};"
                ' for tests on another database set keys = "memory"'
            )
        if answer_timeout is not None:
            give_up_after(self._engine, answer_timeout)
        self._realms: set[UUID] = set()
        reset_in_children(self)

    @property
    def engine(self) -> Engine:
        """The engine underneath, for vaultdb's own jobs."""
        return self._engine

    def by_ids(self, realm: UUID, key_ids: Collection[bytes]) -> Sequence[WrappedKey]:
        """Return the keys with these ids, in any state, in one query.

        Raises:
            SchemaError: the database is not migrated or belongs to another realm.
            KeyUnavailable: the database cannot be reached.

        """
        return self._read(realm, table.c.key_id == any_(array(key_ids, LargeBinary)))

    def by_scopes(self, realm: UUID, scopes: Collection[KeyScope]) -> Sequence[WrappedKey]:
        """Return every version of these scopes that is not destroyed, in one query.

        Raises:
            SchemaError: the database is not migrated or belongs to another realm.
            KeyUnavailable: the database cannot be reached.

        """
        living = table.c.state != KeyState.DESTROYED.value
        return self._read(realm, _is_in(scopes), living)

    def all(self, realm: UUID) -> Sequence[WrappedKey]:
        """Return every key of the realm, by tenant, keyset, purpose, subject and version."""
        return self._read(realm)

    def insert(self, key: WrappedKey) -> WrappedKey:
        """Add a key, commit, and return the row that is there now: ours, or the one before it.

        Raises:
            ConfigurationError: the login may not add keys, or this version was destroyed.
            SchemaError: the database is not migrated or belongs to another realm.
            KeyUnavailable: the database cannot be reached.

        """
        return self.insert_all(key.realm, [key])[0]

    def insert_all(self, realm: UUID, keys: Sequence[WrappedKey]) -> Sequence[WrappedKey]:
        """Add keys in one transaction, and return the rows that are there now, in this order.

        Raises:
            ConfigurationError: the login may not add keys, or a version of one was destroyed.
            SchemaError: the database is not migrated or belongs to another realm.
            KeyUnavailable: the database cannot be reached.

        """
        if not keys:
            return ()
        # In one order, so that two who add the same keys do not wait for each other in a ring.
        values = [_values(key) for key in sorted(keys, key=lambda key: (key.scope, key.version))]
        with self.connection(realm, "add a data key") as connection:
            connection.execute(insert(table).on_conflict_do_nothing(), values)
        # The loser of a race waits in ON CONFLICT for the winner's commit, and reads it here.
        rows = self.by_scopes(realm, {key.scope for key in keys})
        there = {(row.scope, row.version): row for row in rows}
        return [_stored(there.get((key.scope, key.version)), key) for key in keys]

    @contextmanager
    def connection(self, realm: UUID, doing: str) -> Iterator[Connection]:
        """Give a connection in a transaction, committed at the end, realm checked before.

        Args:
            realm: the realm of the settings.
            doing: what is attempted, for the error text.

        """
        with plain_failures(doing), _login_failures(doing), self._engine.begin() as connection:
            if realm not in self._realms:
                check_realm(connection, realm)
                self._realms.add(realm)
            yield connection

    def close(self) -> None:
        """Close the pool, and give back what Vault lent to it alone."""
        self._engine.dispose()

    def reset_after_fork(self) -> None:
        """Leave the parent's connections to the parent: a child that used one would break it."""
        self._engine.dispose(close=False)

    def _read(self, realm: UUID, *conditions: ColumnElement[bool]) -> list[WrappedKey]:
        order = (*PLACE, table.c.version)
        statement = select(*COLUMNS).where(table.c.realm == realm, *conditions).order_by(*order)
        with self.connection(realm, "read the key table") as connection:
            return [wrapped_key(row) for row in connection.execute(statement)]


@contextmanager
def _login_failures(doing: str) -> Iterator[None]:
    """Put trouble with a login from Vault in the words of the key table."""
    try:
        yield
    except (VaultUnavailable, VaultUntrusted) as error:
        failure: VaultDBError = KeyUnavailable(f"cannot {doing}: {error}")
    except VaultError as error:
        failure = ConfigurationError(f"cannot {doing}: {error}")
    else:
        return
    raise failure


def wrapped_key(row: Any) -> WrappedKey:
    """Return the key of one row of `COLUMNS`."""
    scope = KeyScope(row.tenant, row.keyset, Purpose(row.purpose), row.subject)
    return WrappedKey(
        key_id=bytes(row.key_id),
        realm=row.realm,
        scope=scope,
        version=row.version,
        state=KeyState(row.state),
        kek_version=row.kek_version,
        wrapped=row.wrapped,
    )


def _values(key: WrappedKey) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "realm": key.realm,
        "tenant": key.scope.tenant,
        "keyset": key.scope.keyset,
        "purpose": key.scope.purpose.value,
        "subject": key.scope.subject,
        "version": key.version,
        "state": key.state.value,
        "kek_version": key.kek_version,
        "wrapped": key.wrapped,
    }


def _stored(row: WrappedKey | None, key: WrappedKey) -> WrappedKey:
    if row is None:
        raise ConfigurationError(
            f"version {key.version} of the {describe(key.scope)} was not stored: another key has"
            " its id or this version was destroyed; look at: vaultdb keys list"
        )
    return row


def _is_in(scopes: Collection[KeyScope]) -> ColumnElement[bool]:
    """Compare with arrays and not with a list of parameters, of which there are 65,535 at most."""
    parts = zip(*((s.tenant, s.keyset, s.purpose.value, s.subject) for s in scopes), strict=True)
    arrays = [array(part, Text) for part in parts] or [array((), Text)] * len(PLACE)
    names = [column.name for column in PLACE]
    wanted = func.unnest(*arrays).table_valued(*names).render_derived()
    return tuple_(*PLACE).in_(select(*(wanted.c[name] for name in names)))


def array(values: Collection[object], type_: type[TypeEngine[Any]]) -> ColumnElement[Any]:
    """Return a parameter that holds an array, for `any_` and `unnest`."""
    return bindparam(None, list(values), type_=ARRAY(type_), unique=True)
