"""Move values to another key: to a row with another primary key, to another tenant or realm.

A value is bound to its row, tenant and realm, so it is decrypted as it was bound and encrypted as
it shall be. For another primary key it is written into a column beside it, which is empty until
then, so that the application goes on with the first one. For another tenant or realm it is written
in its place: which of the two it is bound to, its key id says.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from vaultdb.crypto.envelope import key_id_of
from vaultdb.crypto.nonce import nonce_tails
from vaultdb.crypto.row_binding import COLUMN_ONLY
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.errors import ConfigurationError, DecryptionError, KeyDenied, ValueRefused
from vaultdb.jobs.work.row_keys import column, row_keys
from vaultdb.jobs.work.task import Batch, Quarantined, Span
from vaultdb.keys.ring import USABLE
from vaultdb.keys.wrapped_key import Purpose
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.companion import (
    companion_of,
    companion_values,
    is_companion,
    second_companion_of,
)
from vaultdb.orm.key_columns import key_tag
from vaultdb.orm.row_key import RowKey, row_key_of
from vaultdb.orm.types import is_encrypted
from vaultdb.settings import Settings
from vaultdb.vault.factory import new_keyring

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Table

    from vaultdb.jobs.work.job import Job
    from vaultdb.jobs.work.task import Tools
    from vaultdb.keys.keyring import Keyring

KIND = "rebind"
DENIED = "key denied"
"""The DEK is disabled, destroyed or refused by Vault, or serves other columns."""
NO_NEW_KEY = "no value of the new key"
"""The row has none yet, or one that values cannot be bound to."""
REFUSED = "refused by the database"
"""A constraint or a unique index does not let the row be stored."""

_READ = sql.SQL(
    "SELECT {keys}, {parts}, {values} FROM {table} AS t WHERE {within} AND ({needs})"
    " ORDER BY {order} LIMIT {limit} FOR NO KEY UPDATE OF t SKIP LOCKED"
)
_WRITE = sql.SQL("UPDATE {table} AS t SET {changes} WHERE {same}")
_COUNT = sql.SQL("SELECT count(*) FROM {table} AS t WHERE {needs}")
_COMMA = sql.SQL(", ")


@dataclass(frozen=True, slots=True)
class RebindSpec:
    """What is moved; names only.

    Args:
        table: as declared today, with its schema when it has one.
        key: the columns of the new primary key; empty when the key stays.
        into: what is added to the name of each encrypted column; empty writes in its place.
        tenant: whose values; None for those of every tenant.
        to_tenant: whose they become; None for the same.
        profile: of the settings of the realm that they come from; None for this one.

    Raises:
        ConfigurationError: there is nothing to move, or both kinds of move at once.

    """

    table: str
    key: tuple[str, ...] = ()
    into: str = ""
    tenant: str | None = None
    to_tenant: str | None = None
    profile: str | None = None

    def __post_init__(self) -> None:
        moves_owner = self.to_tenant is not None or self.profile is not None
        if bool(self.key) == moves_owner:
            raise ConfigurationError(
                "say what changes: --key for another primary key, or --to-tenant and --from-profile"
                " for another tenant or realm; one after the other"
            )
        if bool(self.key) != bool(self.into):
            raise ConfigurationError(
                "--key needs --into, such as --into _2: values for the new key are written into"
                " columns of their own, and the first ones stay in use until the switch"
            )
        if self.to_tenant is not None and self.tenant is None:
            raise ConfigurationError("--to-tenant needs --tenant: say whose values are moved")

    def as_json(self) -> dict[str, Any]:
        """Return what a job stores."""
        return {**asdict(self), "key": list(self.key)}

    @classmethod
    def of(cls, stored: Any) -> RebindSpec:
        """Return what a job has stored."""
        return cls(**{**stored, "key": tuple(stored["key"])})


@dataclass(frozen=True, slots=True)
class _Column:
    """One encrypted column, how its values are bound, and where they go."""

    source: Column[Any]
    target: str
    old: RowKey
    new: RowKey
    companions: tuple[str, ...] = ()


class Rebind:
    """Moves the values of one table.

    Args:
        table: as declared today.
        spec: what is moved.
        old: opens the values as they are.
        new: makes them anew; the same one when the realm stays.
        old_ids: of the keys whose values are moved; of no use for another primary key.

    """

    def __init__(
        self, table: Table, spec: RebindSpec, old: Keyring, new: Keyring, old_ids: Sequence[bytes]
    ) -> None:
        self._spec = spec
        self._old = old
        self._new = new
        self._ids = list(old_ids)
        self._keys = row_keys(table)
        self._columns = [_column(table, each, spec) for each in encrypted_columns(table)]
        parts = [
            part for each in self._columns for key in (each.old, each.new) for part in key.columns
        ]
        self._parts = list(dict.fromkeys(parts)) or list(table.primary_key.columns)

    def batch(self, connection: Connection, span: Span, limit: int) -> Batch:
        """Move the next rows of a span; rows that somebody has locked are left for another pass."""
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        within, parameters = self._keys.within(span)
        statement = _READ.format(
            keys=self._keys.texts,
            parts=_COMMA.join(column(part.name) for part in self._parts),
            values=_COMMA.join(sql.SQL("{}::bytea").format(column(n)) for n in self._read_names),
            table=self._keys.table,
            within=within,
            needs=self._needs,
            order=self._keys.order,
            limit=sql.Literal(limit),
        )
        rows = driver.execute(statement, [*parameters, *self._need_parameters]).fetchall()
        bad: list[Quarantined] = []
        changes = [
            (*cells, *row[: self._size]) for row in rows if any(cells := self._moved(row, bad))
        ]
        changed = self._stored(driver, changes, bad)
        last = tuple(rows[-1][: self._size]) if len(rows) == limit else None
        return Batch(last, len(rows), changed, 0, tuple(bad))

    def remaining(self, connection: Connection) -> int:
        """Count the rows that are not moved yet."""
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        statement = _COUNT.format(table=self._keys.table, needs=self._needs)
        row = driver.execute(statement, self._need_parameters).fetchone()
        return int(row[0]) if row else 0

    def _stored(
        self,
        driver: psycopg.Connection[Any],
        changes: Sequence[Sequence[Any]],
        bad: list[Quarantined],
    ) -> int:
        """Store all rows at once, or one by one when a constraint refuses one of them."""
        if not changes:
            return 0
        try:
            with driver.transaction():
                driver.cursor().executemany(self._write, changes)
        except psycopg.IntegrityError:
            pass  # outside the handler: the error quotes values
        else:
            return len(changes)
        return sum(self._stored_alone(driver, each, bad) for each in changes)

    def _stored_alone(
        self, driver: psycopg.Connection[Any], change: Sequence[Any], bad: list[Quarantined]
    ) -> bool:
        try:
            with driver.transaction():
                driver.execute(self._write, change)
        except psycopg.IntegrityError:
            key = tuple(change[-self._size :])
            filled = zip(self._columns, change, strict=False)
            name = next(each.source.name for each, value in filled if value is not None)
            bad.append(Quarantined(key, name, REFUSED))
            return False
        return True

    @property
    def _size(self) -> int:
        return len(self._keys.names)

    @property
    def _read_names(self) -> list[str]:
        names = [each.source.name for each in self._columns]
        return names + ([each.target for each in self._columns] if self._spec.into else [])

    @cached_property
    def _needs(self) -> sql.Composed:
        if self._spec.into:
            form = sql.SQL("({source} IS NOT NULL AND {target} IS NULL)")
        else:
            form = sql.SQL("pg_catalog.substr({source}::bytea, 3, 16) = ANY (%s::bytea[])")
        return sql.SQL(" OR ").join(
            form.format(source=column(each.source.name), target=column(each.target))
            for each in self._columns
        )

    @property
    def _need_parameters(self) -> list[Any]:
        return [] if self._spec.into else [self._ids] * len(self._columns)

    @cached_property
    def _write(self) -> sql.Composed:
        names = [each.target for each in self._columns]
        names += [name for each in self._columns for name in each.companions]
        changes = [
            sql.SQL("{} = coalesce(%b, {})").format(sql.Identifier(name), column(name))
            for name in names
        ]
        same = [sql.SQL("{} = %s").format(key) for key in self._keys.columns]
        return _WRITE.format(
            table=self._keys.table,
            changes=_COMMA.join(changes),
            same=sql.SQL(" AND ").join(same),
        )

    def _moved(self, row: Sequence[Any], bad: list[Quarantined]) -> list[bytes | None]:
        """Return the new values, then those of blind indexes; None where nothing changes."""
        start = self._size
        parts = dict(zip(self._parts, row[start : start + len(self._parts)], strict=True))
        values = row[start + len(self._parts) :]
        count = len(self._columns)
        cells: list[bytes | None] = []
        digests: list[bytes | None] = []
        for number, each in enumerate(self._columns):
            envelope: bytes | None = None
            index: Sequence[bytes | None] = [None] * len(each.companions)
            if self._is_wanted(values, number, count):
                try:
                    envelope, index = self._rebound(each, bytes(values[number]), parts)
                except (DecryptionError, KeyDenied, ValueRefused) as error:
                    reason = getattr(error, "reason", None) or _reason(error)
                    bad.append(Quarantined(tuple(row[:start]), each.source.name, str(reason)))
            cells.append(envelope)
            digests += index
        return cells + digests

    def _is_wanted(self, values: Sequence[Any], number: int, count: int) -> bool:
        if values[number] is None:
            return False
        if self._spec.into:
            return values[count + number] is None
        return bytes(values[number])[2:18] in self._ids

    def _rebound(
        self, each: _Column, envelope: bytes, parts: dict[Column[Any], Any]
    ) -> tuple[bytes, Sequence[bytes | None]]:
        type_: Any = each.source.type
        key = self._old.get(key_id_of(envelope))
        if (key.scope.keyset, key.scope.purpose) != (type_.keyset, Purpose.DATA):
            raise KeyDenied("the key is of another keyset")
        frame = key.decrypt(type_.identity, envelope, _binding(each.old, parts))
        tenant = key.scope.tenant if self._spec.to_tenant is None else self._spec.to_tenant
        new = self._new.active(tenant, type_.keyset, subject=key.scope.subject)
        (tail,) = nonce_tails(1)
        made = new.encrypt(type_.identity, frame, _binding(each.new, parts), tail)
        if not each.companions:
            return made, ()
        keys = self._new.index_keys(tenant, type_.keyset)
        digests = companion_values(each.source, type_.decode(frame), keys)
        return made, digests[: len(each.companions)]


def rebind_task(job: Job, tools: Tools) -> Rebind:
    """Make the task of a job.

    Raises:
        ConfigurationError: the table is not declared, or a column of the new key is not, or a
            column that would be written holds something else.

    """
    spec = RebindSpec.of(job.spec)
    table = tools.metadata.tables.get(spec.table)
    if table is None:
        raise ConfigurationError(f"the models have no table {spec.table}")
    if tools.keyring is None:
        raise ConfigurationError("rebind needs a keyring")
    _refuse_declared(table, spec)
    if spec.key:
        return Rebind(table, spec, tools.keyring, tools.keyring, ())
    reading = Settings.load(profile=spec.profile, role="rotator")
    ids = _ids_of(reading, spec.tenant)
    old = tools.keyring if spec.profile is None else _keyring_of(spec.profile, reading, ids)
    return Rebind(table, spec, old, tools.keyring, ids)


def _keyring_of(profile: str, reading: Settings, ids: Sequence[bytes]) -> Keyring:
    """Return the other realm's keys, opened once in each process."""
    place = (reading.realm, reading.database.url)
    if place not in _opened:
        store = PostgresKeyStore(reading, answer_timeout=None)
        opening = Settings.load(profile=profile, role="reencryptor")
        _opened[place] = new_keyring(opening, store)
        _opened[place].load_ids(ids)
        store.close()  # it connects again when the keys have to be refreshed
    return _opened[place]


_opened: dict[object, Keyring] = {}


def _ids_of(settings: Settings, tenant: str | None) -> list[bytes]:
    with closing(PostgresKeyStore(settings, answer_timeout=None)) as store:
        return [
            key.key_id
            for key in store.all(settings.realm)
            if key.scope.purpose is Purpose.DATA
            and key.state in USABLE
            and tenant in {None, key.scope.tenant}
        ]


def _column(table: Table, source: Column[Any], spec: RebindSpec) -> _Column:
    type_: Any = source.type
    old = row_key_of(table, type_.bind)
    if not spec.key:
        both = (companion_of(source), second_companion_of(source))
        names = tuple(each.name for each in both if each is not None)
        return _Column(source, source.name, old, old, names)
    missing = [name for name in spec.key if name not in table.columns]
    if missing:
        raise ConfigurationError(
            f"--key names {missing[0]!r}, which is no column of {table.fullname}: declare it in the"
            " model first"
        )
    columns = tuple(table.columns[name] for name in spec.key)
    new = (
        RowKey(columns, tuple(key_tag(each) for each in columns)) if type_.bind != "column" else old
    )
    return _Column(source, source.name + spec.into, old, new)


def _reason(error: Exception) -> str:
    return DENIED if isinstance(error, KeyDenied) else NO_NEW_KEY


def _refuse_declared(table: Table, spec: RebindSpec) -> None:
    """Refuse to write into a column that holds something else: its values would be lost.

    Raises:
        ConfigurationError: the models say that it is encrypted, or a blind index.

    """
    if not spec.into:
        return
    for each in encrypted_columns(table):
        target = each.name + spec.into
        there = next((one for one in table.columns if one.name == target), None)
        if there is not None and (is_encrypted(there) or is_companion(there)):
            raise ConfigurationError(
                f"--into {spec.into}: {table.fullname} has a column {target} with values of its"
                " own; take another suffix, and add the new columns in SQL only"
            )


def _binding(key: RowKey, parts: dict[Column[Any], Any]) -> bytes:
    return key.encode([parts[each] for each in key.columns]) if key.columns else COLUMN_ONLY
