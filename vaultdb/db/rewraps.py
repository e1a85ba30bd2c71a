"""What a rewrap reads and changes in the key table; every change is compare-and-set.

`wrapped_prev` keeps the last wrapping that somebody has opened, until somebody opens the new
one. So a rewrap that went wrong, in Vault or on the way, can be taken back.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    TextClause,
    any_,
    case,
    func,
    select,
    text,
)

from vaultdb.db.failures import plain_failures
from vaultdb.db.keystore import COLUMNS, PostgresKeyStore, array, wrapped_key
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


@dataclass(slots=True)
class KekUse:
    """The keys under one KEK."""

    by_version: dict[int, int] = field(default_factory=dict)
    """How many are wrapped under which of its versions."""
    unverified: int = 0

    @property
    def keys(self) -> int:
        """How many there are in all."""
        return sum(self.by_version.values())

    def stale(self, kek_version: int) -> int:
        """Count those under a version older than this one."""
        return sum(count for version, count in self.by_version.items() if version < kek_version)


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

    def keysets(self) -> list[str]:
        """Return the names of the keysets that have keys."""
        statement = select(table.c.keyset).where(*self._mine).distinct().order_by(table.c.keyset)
        with self._connection("read the data keys") as connection:
            return list(connection.scalars(statement))

    def by_kek(
        self, tenant_keysets: Collection[str], tenant: str | None = None
    ) -> dict[str | None, KekUse]:
        """Count the keys under each KEK: of tenants by their names, and None for the realm's.

        Args:
            tenant_keysets: the keysets in which each tenant has a KEK of its own.
            tenant: count this tenant's keys only.

        """
        owner = case((_in(tenant_keysets), table.c.tenant))
        counts = (func.count(), func.count(table.c.wrapped_prev))
        statement = (
            select(owner, table.c.kek_version, *counts)
            .where(*self._mine, *_of(tenant))
            .group_by(owner, table.c.kek_version)
            .order_by(owner.nulls_first())
        )
        found: dict[str | None, KekUse] = {}
        with self._connection("count the data keys") as connection:
            for kek, version, keys, unverified in connection.execute(statement):
                use = found.setdefault(kek, KekUse())
                use.by_version[version] = keys
                use.unverified += unverified
        return found

    def stale(
        self,
        kek_version: int,
        size: int,
        *,
        tenant_keysets: Collection[str] = (),
        tenant: str | None = None,
    ) -> Generator[list[WrappedKey], None, None]:
        """Yield the keys under an older realm's KEK, `size` at a time; close it to stop early.

        Args:
            kek_version: of the realm's KEK.
            size: keys at a time.
            tenant_keysets: keysets whose keys are under other KEKs.
            tenant: only keys of this tenant.

        """
        conditions = [table.c.kek_version < kek_version, *_of(tenant)]
        if tenant_keysets:
            conditions.append(~_in(tenant_keysets))
        statement = select(*COLUMNS).where(*self._mine, *conditions)
        for rows in self._stream(statement, size):
            yield [wrapped_key(row) for row in rows]

    def stale_of_tenants(
        self, kek_versions: Mapping[str, int], size: int, *, tenant_keysets: Collection[str]
    ) -> Generator[list[WrappedKey], None, None]:
        """Yield the keys under older KEKs of tenants, tenant by tenant; close it to stop early.

        Args:
            kek_versions: of each tenant's KEK.
            size: keys at a time.
            tenant_keysets: the keysets whose keys are under these KEKs.

        """
        names = array(list(kek_versions), Text)
        versions = array(list(kek_versions.values()), Integer)
        keks = func.unnest(names, versions).table_valued("tenant", "version").render_derived()
        statement = (
            select(*COLUMNS)
            .join(keks, table.c.tenant == keks.c.tenant)
            .where(*self._mine, _in(tenant_keysets), table.c.kek_version < keks.c.version)
            .order_by(table.c.tenant)
        )
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


def _in(keysets: Collection[str]) -> ColumnElement[bool]:
    return table.c.keyset == any_(array(keysets, Text))


def _of(tenant: str | None) -> Sequence[ColumnElement[bool]]:
    return () if tenant is None else (table.c.tenant == tenant,)
