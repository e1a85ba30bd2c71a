"""What a rewrap reads and changes in the key table; every change is compare-and-set.

`wrapped_prev` keeps the last wrapping that somebody has opened, until somebody opens the new
one. So a rewrap that went wrong, in Vault or on the way, can be taken back.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, TextClause, func, select, text

from vaultdb.db.failures import plain_failures
from vaultdb.db.keystore import COLUMNS, PostgresKeyStore, wrapped_key
from vaultdb.db.schema import data_key_table as table
from vaultdb.errors import SchemaError
from vaultdb.keys.wrapped_key import KeyState, WrappedKey

# Compare-and-set: a row that somebody else has changed since it was read is left alone. The ids
# are given a second time, as ANY, to make sure of an index scan. No other condition on k alone:
# statistics know nothing of a rewrap in progress, and a join planned for one row took ten times
# as long.
_REPLACE = text("""
    UPDATE vaultdb.data_key AS k
    SET wrapped = n.wrapped, wrapped_prev = coalesce(k.wrapped_prev, k.wrapped),
        kek_version = n.kek_version, rewrapped_at = now()
    FROM unnest(CAST(:key_ids AS bytea[]), CAST(:old AS text[]), CAST(:new AS text[]),
                CAST(:kek_versions AS integer[])) AS n (key_id, old, wrapped, kek_version)
    WHERE k.key_id = ANY(CAST(:key_ids AS bytea[])) AND k.key_id = n.key_id
      AND k.wrapped = n.old AND k.kek_version < n.kek_version
""")

_CONFIRM = text("""
    UPDATE vaultdb.data_key AS k SET wrapped_prev = NULL
    FROM unnest(CAST(:key_ids AS bytea[]), CAST(:seen AS text[])) AS n (key_id, wrapped)
    WHERE k.key_id = ANY(CAST(:key_ids AS bytea[])) AND k.key_id = n.key_id
      AND k.wrapped = n.wrapped
""")

# KEK version 0 is older than any, so the next rewrap takes the key again.
_TAKE_BACK = text("""
    UPDATE vaultdb.data_key AS k
    SET wrapped = k.wrapped_prev, wrapped_prev = NULL, kek_version = 0, rewrapped_at = now()
    FROM unnest(CAST(:key_ids AS bytea[]), CAST(:seen AS text[])) AS n (key_id, wrapped)
    WHERE k.key_id = ANY(CAST(:key_ids AS bytea[])) AND k.key_id = n.key_id
      AND k.wrapped = n.wrapped AND k.wrapped_prev IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class Survey:
    """How the keys of a realm stand towards a version of the KEK."""

    keys: int
    stale: int
    """Wrapped under an older version of the KEK."""
    unverified: int
    """Rewrapped, and not yet opened by a role that may."""


@dataclass(frozen=True, slots=True)
class Unverified:
    """A rewrapped key beside its previous wrapping."""

    key: WrappedKey
    previous: str = field(repr=False)

    def before(self) -> WrappedKey:
        """Return the key as it was wrapped before."""
        return replace(self.key, wrapped=self.previous)


class RewrapTable:
    """The key table of one realm, as the rotator uses it.

    Args:
        store: the key store of the rotator's login.
        realm: the realm of the settings.

    """

    def __init__(self, store: PostgresKeyStore, realm: UUID) -> None:
        self._store = store
        self.realm = realm
        self._mine = (table.c.realm == realm, table.c.state != KeyState.DESTROYED.value)

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep other rotations of this database out, until the connection ends.

        Raises:
            SchemaError: one is running.

        """
        lock = "SELECT pg_try_advisory_lock(hashtext('vaultdb.rotate'))"
        engine = self._store.engine
        with plain_failures("take the rotation's lock"), engine.connect() as connection:
            if not connection.scalar(text(lock)):
                raise SchemaError("another rotation is running on this database; wait for it")
            connection.commit()
            try:
                yield
            finally:
                # The lock belongs to the session: do not let the pool keep it.
                connection.invalidate()

    def survey(self, kek_version: int) -> Survey:
        """Count the keys, against the KEK's newest version."""
        stale = func.count().filter(table.c.kek_version < kek_version)
        unverified = func.count().filter(table.c.wrapped_prev.is_not(None))
        statement = select(func.count(), stale, unverified).where(*self._mine)
        with self._connection("count the data keys") as connection:
            keys, old, open_ = connection.execute(statement).one()
        return Survey(keys, old, open_)

    def stale(self, kek_version: int, size: int) -> Generator[list[WrappedKey], None, None]:
        """Yield the keys under an older KEK, `size` at a time; close it when you stop early."""
        statement = select(*COLUMNS).where(*self._mine, table.c.kek_version < kek_version)
        for rows in self._stream(statement, size):
            yield [wrapped_key(row) for row in rows]

    def replace(self, keys: Sequence[WrappedKey], new: Sequence[tuple[str, int]]) -> int:
        """Store new wrappings of keys as they were read; return how many were still like that."""
        values = {
            "key_ids": [key.key_id for key in keys],
            "old": [key.wrapped for key in keys],
            "new": [wrapped for wrapped, _ in new],
            "kek_versions": [version for _, version in new],
        }
        with self._connection("store rewrapped data keys") as connection:
            return int(connection.execute(_REPLACE, values).rowcount)

    def unverified(self, size: int) -> Generator[list[Unverified], None, None]:
        """Yield rewrapped keys that nobody has opened yet; close it when you stop early."""
        statement = select(*COLUMNS, table.c.wrapped_prev)
        statement = statement.where(*self._mine, table.c.wrapped_prev.is_not(None))
        for rows in self._stream(statement, size):
            yield [Unverified(wrapped_key(row), row.wrapped_prev) for row in rows]

    def confirm(self, keys: Sequence[WrappedKey]) -> int:
        """Drop the previous wrapping of keys that were opened as they are now."""
        return self._change(_CONFIRM, keys)

    def take_back(self, keys: Sequence[WrappedKey]) -> int:
        """Return keys whose new wrapping does not open to their previous one."""
        return self._change(_TAKE_BACK, keys)

    def _change(self, statement: TextClause, keys: Sequence[WrappedKey]) -> int:
        if not keys:
            return 0
        values = {"key_ids": [k.key_id for k in keys], "seen": [k.wrapped for k in keys]}
        with self._connection("store verified data keys") as connection:
            return int(connection.execute(statement, values).rowcount)

    def _stream(self, statement: Any, size: int) -> Generator[Sequence[Any], None, None]:
        """Read through a cursor on the server: one scan, however many keys, and little memory."""
        with self._connection("read the data keys") as connection:
            options = {"yield_per": size}
            with closing(connection.execute(statement, execution_options=options)) as result:
                yield from result.partitions()

    @contextmanager
    def _connection(self, doing: str) -> Iterator[Connection]:
        with self._store.connection(self.realm, doing) as connection:
            yield connection
