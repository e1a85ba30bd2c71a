"""Reading the old column of rows, with what is needed to encrypt it or to compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from psycopg import sql

from vaultdb.crypto.row_binding import COLUMN_ONLY
from vaultdb.jobs.adopt.foreign.failure import NOT_TEXT, Unreadable
from vaultdb.jobs.adopt.values import value_of
from vaultdb.jobs.work.row_keys import column

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.adoption import Adoption
    from vaultdb.jobs.adopt.foreign.formats import Reader
    from vaultdb.jobs.work.task import Key, Span


@dataclass(frozen=True, slots=True, eq=False)
class OldRow:
    """A row that holds something in the old column.

    Args:
        key: in text form.
        old: the old column in text form, None when it is gone or empty; secret.
        value: of the encrypted column's type, or why there is none; secret.
        binding: what the ciphertext is bound to.
        tenant: whose the row is.
        subject: the data subject with keys of its own, or "".
        envelope: the ciphertext that is there.
        digests: the blind index values that are there.

    """

    key: Key
    old: str | None
    value: Any
    binding: bytes
    tenant: str
    subject: str
    envelope: bytes | None
    digests: tuple[bytes | None, ...]


class OldRows:
    """Reads rows of one adoption.

    Args:
        adoption: the column.
        reader: of the format that the old column is in; None for plaintext.
        tenant: of rows that do not say whose they are.
        has_old: False when the old column is gone.

    """

    def __init__(
        self, adoption: Adoption, *, reader: Reader | None, tenant: str, has_old: bool = True
    ) -> None:
        self._adoption = adoption
        self._reader = reader
        self._tenant = tenant
        self._has_old = has_old
        self._companions = adoption.column.companions
        self._bound = () if adoption.column.row_key is None else adoption.column.row_key.columns
        self._owner = adoption.column.tenant_column
        self._subject = adoption.column.subject_column
        self._converted: Callable[[Any], Any] | None = None

    def read(
        self,
        connection: Connection,
        condition: sql.Composable,
        span: Span,
        limit: int,
        *,
        lock: bool = False,
        sample: float | None = None,
    ) -> list[OldRow]:
        """Return rows in the key's order.

        Args:
            connection: by a login with the rotator capability.
            condition: on the alias `t`.
            span: of the key.
            limit: rows, at most.
            lock: lock them until the end of the transaction, and leave out locked ones.
            sample: percentage of the table's rows to choose from, at random; None for all.

        """
        within, parameters = self._adoption.keys.within(span)
        statement = sql.SQL(
            "SELECT {items} FROM {table} AS t {sample} WHERE {within} AND {condition}"
            " ORDER BY {order} LIMIT {limit} {lock}"
        ).format(
            items=self._items(),
            table=self._adoption.keys.table,
            sample=_sampled(sample),
            within=within,
            condition=condition,
            order=self._adoption.keys.order,
            limit=sql.Literal(limit),
            lock=sql.SQL("FOR NO KEY UPDATE OF t SKIP LOCKED" if lock else ""),
        )
        found = driver_of(connection).execute(statement, parameters).fetchall()
        convert = self._converter(connection)
        rows = [self._row(each, convert) for each in found]
        return self._with_bindings(rows, found)

    def _items(self) -> sql.Composed:
        adoption = self._adoption
        plain = column(adoption.plain) if self._has_old else sql.SQL("NULL")
        items: list[sql.Composable] = [
            adoption.keys.texts,
            sql.SQL("{}::text").format(plain),
            plain,
            column(adoption.encrypted),
            *(column(str(each.name)) for each in self._companions),
            *(column(str(each.name)) for each in self._bound),
            _text_of(self._owner),
            _text_of(self._subject),
        ]
        return sql.SQL(", ").join(items)

    def _row(self, found: Sequence[Any], convert: Callable[[Any], Any]) -> OldRow:
        at = len(self._adoption.keys.names)
        old, plain, envelope = found[at : at + 3]
        digests = found[at + 3 : at + 3 + len(self._companions)]
        owner, subject = found[-2:]
        return OldRow(
            key=tuple(found[:at]),
            old=old,
            value=self._value(plain, convert),
            binding=COLUMN_ONLY,
            tenant=self._tenant if self._owner is None else owner,
            subject=subject or "",
            envelope=None if envelope is None else bytes(envelope),
            digests=tuple(None if each is None else bytes(each) for each in digests),
        )

    def _with_bindings(self, rows: list[OldRow], found: Sequence[Sequence[Any]]) -> list[OldRow]:
        row_key = self._adoption.column.row_key
        if row_key is None or not rows:
            return rows
        start = len(found[0]) - 2 - len(self._bound)
        values = list(zip(*(row[start:-2] for row in found), strict=True))
        bindings = row_key.encode_all(values)
        return [replace(row, binding=each) for row, each in zip(rows, bindings, strict=True)]

    def _value(self, plain: Any, convert: Callable[[Any], Any]) -> Any:
        """Return the value, or why it cannot be had; nothing of it is shown."""
        if plain is None:
            return None
        try:
            return value_of(self._adoption.column.type.python_type, convert(plain))
        except Unreadable as error:
            return error

    def _converter(self, connection: Connection) -> Callable[[Any], Any]:
        """Return what makes of a stored value what the application saw."""
        if self._converted is None:
            if self._reader is not None:
                self._converted = _opened_by(self._reader)
            else:
                self._converted = _seen_through(self._adoption, connection)
        return self._converted


def driver_of(connection: Connection) -> psycopg.Connection[tuple[Any, ...]]:
    """Return psycopg's connection."""
    found: Any = connection.connection.driver_connection
    return found  # type: ignore[no-any-return]


def _opened_by(reader: Reader) -> Callable[[Any], Any]:
    def convert(stored: Any) -> str:
        opened = reader.read(stored.encode() if isinstance(stored, str) else bytes(stored))
        try:
            return opened.decode()
        except UnicodeDecodeError:
            pass
        raise Unreadable(NOT_TEXT)

    return convert


def _seen_through(adoption: Adoption, connection: Connection) -> Callable[[Any], Any]:
    """Return what the old column's type in the models does to what is read."""
    if adoption.plain_type is None:
        return lambda stored: stored
    dialect = connection.dialect
    process = adoption.plain_type.dialect_impl(dialect).result_processor(dialect, None)
    if process is None:
        return lambda stored: stored

    def convert(stored: Any) -> Any:
        with suppress(Exception):  # the application's own type may show the value
            return process(stored)
        raise Unreadable("refused by the old column's type")

    return convert


def _text_of(found: Any) -> sql.Composable:
    if found is None:
        return sql.SQL("NULL::text")
    return sql.SQL("{}::text").format(column(str(found.name)))


def _sampled(percent: float | None) -> sql.Composable:
    if percent is None:
        return sql.SQL("")
    return sql.SQL("TABLESAMPLE BERNOULLI ({})").format(sql.Literal(percent))
