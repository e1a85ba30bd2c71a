"""The statements of re-encryption, built once for each table.

Reading takes no lock. Storing locks each row only if it still is what was read: the first 42 bytes
of an envelope, which include its nonce, are an exact version stamp. A row that somebody else has
locked is skipped, so nobody waits for anybody and there is no deadlock.

A row is found again by its place (ctid), without a look-up by key: rows that have moved since are
conflicts, found by the next pass. Partitions have the same places, so there the key
is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from vaultdb.db.packed import BYTEA, TID, ElementType
from vaultdb.jobs.reencrypt.key_forms import KeyForm, key_form
from vaultdb.jobs.reencrypt.needs import Needs, Parameters
from vaultdb.jobs.work.row_keys import RowKeys, column, key_columns, row_keys

if TYPE_CHECKING:
    from vaultdb.jobs.reencrypt.target import Target
    from vaultdb.jobs.work.task import Key, Span

_COMMA = sql.SQL(", ")
_AND = sql.SQL(" AND ")

_READ = sql.SQL(
    "SELECT {place}, {keys}, {values} FROM {table} AS t WHERE {within} AND {needs}"
    " ORDER BY {order} LIMIT {limit}"
)
_STORE = sql.SQL(
    "WITH l AS MATERIALIZED ("
    "SELECT {found}, {new} FROM {table} AS t JOIN unnest({arrays}) AS v ({names}) ON {same}"
    " WHERE {unchanged} FOR NO KEY UPDATE OF t SKIP LOCKED)"
    " UPDATE {table} AS t SET {changes} FROM l WHERE {again}"
)
_REMAINING = sql.SQL("SELECT count(*) FROM {table} AS t WHERE {needs}")

STAMP = 42
"""Bytes of an envelope that no two values share: header and nonce."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One column that is written, and the place of its new values in the arrays.

    Args:
        name: the column's name in the database.
        stamped: whether what was read is compared: for values, not for companions.

    """

    name: str
    stamped: bool


class Statements:
    """The statements for one target.

    Args:
        target: table and columns.
        has_parts: whether the table is partitioned, or has tables that inherit from it.

    """

    def __init__(self, target: Target, *, has_parts: bool) -> None:
        self.keys: RowKeys = row_keys(target.table)
        self.forms: list[KeyForm] = [key_form(key) for key in key_columns(target.table)]
        self.has_parts = has_parts
        self.read_columns: list[str] = []
        self.stored: list[Stored] = []
        for each in target.columns:
            companions = [companion.name for companion, _ in each.companions]
            self.read_columns += [each.name, *companions]
            self.stored += [Stored(each.name, True), *(Stored(name, False) for name in companions)]
        self.array_types = self._array_types()
        self.store = self._store().as_bytes(None)

    def read(self, span: Span, needs: Needs, limit: int) -> tuple[bytes, Parameters]:
        """Build the statement that reads the next rows of a span."""
        parameters = Parameters()
        place = sql.SQL("NULL::tid") if self.has_parts else sql.SQL("t.ctid")
        statement = _READ.format(
            place=place,
            keys=_COMMA.join(form.expression for form in self.forms),
            values=_COMMA.join(column(name) for name in self.read_columns),
            table=self.keys.table,
            within=self._within(span, parameters),
            needs=needs.condition(parameters),
            order=self.keys.order,
            limit=sql.Literal(limit),
        )
        return statement.as_bytes(None), parameters

    def remaining(self, needs: Needs) -> tuple[bytes, Parameters]:
        """Build the statement that counts the rows that need work."""
        parameters = Parameters()
        statement = _REMAINING.format(table=self.keys.table, needs=needs.condition(parameters))
        return statement.as_bytes(None), parameters

    def _within(self, span: Span, parameters: Parameters) -> sql.Composable:
        terms: list[sql.Composable] = [sql.SQL("true")]
        for sign, key in ((sql.SQL(">"), span.after), (sql.SQL("<="), span.upto)):
            if key is not None:
                terms.append(self._compared(sign, key, parameters))
        return _AND.join(terms)

    def _compared(self, sign: sql.SQL, key: Key, parameters: Parameters) -> sql.Composable:
        places = [parameters.text(part) for part in self.keys.checked(key)]
        if len(places) == 1:
            return sql.SQL("{} {} {}").format(self.keys.columns[0], sign, places[0])
        return sql.SQL("({}) {} ({})").format(self.keys.order, sign, _COMMA.join(places))

    def _array_types(self) -> list[ElementType]:
        types: list[ElementType] = [] if self.has_parts else [TID]
        types += [form.type for form in self.forms]
        for each in self.stored:
            types += [BYTEA, BYTEA] if each.stamped else [BYTEA]
        return types

    def _store(self) -> sql.Composed:
        keys = [sql.Identifier(f"k{number}") for number, _ in enumerate(self.forms)]
        new = [sql.Identifier(f"n{number}") for number, _ in enumerate(self.stored)]
        old = {n: sql.Identifier(f"o{n}") for n, each in enumerate(self.stored) if each.stamped}
        place = [] if self.has_parts else [sql.Identifier("place")]
        names: list[Any] = [*place, *keys]
        for number, name in enumerate(new):
            names += [old[number], name] if number in old else [name]
        same: list[sql.Composable] = [sql.SQL("t.ctid = v.place")] if place else []
        same += [
            sql.SQL("{} = v.{}").format(self._own(form), key)
            for form, key in zip(self.forms, keys, strict=True)
        ]
        unchanged = [
            sql.SQL("(v.{old} IS NULL OR substr({value}, 1, {stamp}) = v.{old})").format(
                old=name, value=column(self.stored[number].name), stamp=sql.Literal(STAMP)
            )
            for number, name in old.items()
        ]
        changes = [
            sql.SQL("{name} = coalesce(l.{new}, {value})").format(
                name=sql.Identifier(each.name), new=name, value=column(each.name)
            )
            for each, name in zip(self.stored, new, strict=True)
        ]
        found = [sql.SQL("t.ctid AS place")] if place else [sql.SQL("v.{}").format(k) for k in keys]
        again = (
            [sql.SQL("t.ctid = l.place")]
            if place
            else [
                sql.SQL("{} = l.{}").format(self._own(form), key)
                for form, key in zip(self.forms, keys, strict=True)
            ]
        )
        return _STORE.format(
            found=_COMMA.join(found),
            new=_COMMA.join(sql.SQL("v.{}").format(name) for name in new),
            table=self.keys.table,
            arrays=_COMMA.join(
                sql.SQL(f"${number}::{type_.name}[]")  # pyright: ignore[reportArgumentType]
                for number, type_ in enumerate(self.array_types, 1)
            ),
            names=_COMMA.join(names),
            same=_AND.join(same),
            unchanged=_AND.join(unchanged),
            changes=_COMMA.join(changes),
            again=_AND.join(again),
        )

    def _own(self, form: KeyForm) -> sql.Composable:
        """Return the key column as it is compared: uncast where its index can then be used."""
        return column(form.name) if form.comparable else form.expression
