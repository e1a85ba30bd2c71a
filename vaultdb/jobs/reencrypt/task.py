"""The task of re-encryption: read ahead, compute, and store what is still as it was read.

What a row with two columns costs, in µs of processor time, where a bare batched UPDATE takes 8.7
in all (one measurement on two busy processors): 16 in Python, of which four AES-GCM calls are half;
5 in the session that reads; 17 in the session that stores, of which the row lock is about 5. The
three overlap, so on idle processors the slowest of them counts, on busy ones their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Any

import psycopg

from vaultdb.db.packed import pack
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.reencrypt import wire
from vaultdb.jobs.reencrypt.key_forms import row_bindings
from vaultdb.jobs.reencrypt.key_targets import KeyTargets
from vaultdb.jobs.reencrypt.needs import Needs, Parameter
from vaultdb.jobs.reencrypt.statements import Statements
from vaultdb.jobs.reencrypt.target import Target, find_target
from vaultdb.jobs.reencrypt.values import Cells, Column, Recrypter
from vaultdb.jobs.work.task import Batch, Key, Quarantined, Span, Tools

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult
    from sqlalchemy import Connection

    from vaultdb.jobs.work.job import Job
    from vaultdb.keys.keyring import Keyring

_HAS_NO_PLACE = """
    SELECT NOT pg_catalog.has_column_privilege(%s::regclass, 'ctid', 'SELECT')
      OR EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = %s::regclass)
"""
_REFUSED = ("22", "23", "44", "P0")
"""Classes of SQLSTATE that a single row is to blame for: data, constraints, a trigger's own."""

REFUSED = "refused by the database"
"""A constraint, a unique index or a trigger does not let the row be stored."""


@dataclass(slots=True)
class Prepared:
    """A batch that is computed and not stored yet.

    Args:
        last: the key of the last row that was read; None when the span has no further row.
        seen: rows that were read.
        places: what finds each row again: its ctid, and each key column, in binary.
        cells: stamps, values and companions, in the order of the arrays.
        quarantined: values that are left as they are.
        keys: of the rows, in text form, made when needed.

    """

    last: Key | None
    seen: int = 0
    places: list[Sequence[bytes]] = field(default_factory=list)
    cells: list[Cells] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    keys: Callable[[int], Key] = field(default=lambda _: ())

    @property
    def size(self) -> int:
        """Rows to store."""
        return len(self.places[-1]) if self.places else 0


class ReencryptTask:
    """Re-encrypts the values of one target.

    Args:
        keyring: of a role that may unwrap.
        target: table and columns.

    """

    def __init__(self, keyring: Keyring, target: Target) -> None:
        self._realm = keyring.realm
        self._target = target
        self._targets = KeyTargets(keyring.realm)
        self._recrypter = Recrypter(keyring, target.filters.tenant)
        self._statements: Statements | None = None
        self._needs: Needs | None = None

    def batch(self, connection: Connection, span: Span, limit: int) -> Batch:
        """Read, compute and store the next rows of a span."""
        return self.send(connection, self.prepare(connection, span, limit))()

    def remaining(self, connection: Connection) -> int:
        """Count the rows whose key ids are not those that write."""
        raw, statements = wire.driver(connection), self._ready(connection)
        needs = Needs(connection, self._realm, self._target)
        result = wire.run(raw, *statements.remaining(needs))
        return int.from_bytes(result.get_value(0, 0) or b"", "big")

    def prepare(self, connection: Connection, span: Span, limit: int) -> Prepared:
        """Read the next rows of a span and compute their new values."""
        statements = self._ready(connection)
        needs = self._needs or Needs(connection, self._realm, self._target)
        self._needs = needs
        raw = wire.driver(connection)
        wire.begin_reading(raw)
        result = wire.run(raw, *statements.read(span, needs, limit))
        if not result.ntuples:
            return Prepared(None)
        return self._computed(connection, result, limit)

    def send(self, connection: Connection, prepared: Prepared) -> Callable[[], Batch]:
        """Start to store a batch, each row only if it is still what was read."""
        if not prepared.size:
            return lambda: self._counted(prepared, 0)
        raw = wire.driver(connection)
        self._begin(raw)
        waiting = self._send(raw, prepared, None)
        return lambda: self._stored(raw, prepared, waiting)

    def _ready(self, connection: Connection) -> Statements:
        if self._statements is None:
            raw = wire.driver(connection)
            statements = Statements(self._target, has_parts=False)
            name = statements.keys.table.as_string(raw)
            row = raw.execute(_HAS_NO_PLACE, [name, name]).fetchone()
            if row is not None and row[0]:
                statements = Statements(self._target, has_parts=True)
            self._statements = statements
        return self._statements

    def _computed(self, connection: Connection, result: PGresult, limit: int) -> Prepared:
        statements = self._ready(connection)
        size, get = result.ntuples, result.get_value
        columns: list[list[Any]] = [
            [get(row, number) for row in range(size)] for number in range(result.nfields)
        ]
        forms = statements.forms
        keys, values = columns[1 : 1 + len(forms)], columns[1 + len(forms) :]

        def key_of(row: int) -> Key:
            return tuple(f.text(k[row]) for f, k in zip(forms, keys, strict=True))

        done = self._recrypted(connection, keys, values, key_of)
        done.last = key_of(size - 1) if size == limit else None
        done.seen = size
        places = [*([] if statements.has_parts else [columns[0]]), *keys]
        return _without_idle_rows(done, places, key_of)

    def _recrypted(
        self,
        connection: Connection,
        keys: Sequence[Sequence[bytes]],
        values: Sequence[Cells],
        key_of: Callable[[int], Key],
    ) -> Prepared:
        done = Prepared(None)
        names = [form.name for form in self._ready(connection).forms]
        read = iter(values)
        for target in self._target.columns:
            own, companions = next(read), [next(read) for _ in target.companions]
            key_ids = {value[2:18] for value in own if value is not None}
            bindings = row_bindings(target.encrypted.row_key, names, keys)
            column = Column(target, own, companions, bindings)
            found = self._recrypter.recrypt(column, self._targets.of(connection, key_ids))
            done.cells += found.cells
            done.quarantined += [
                Quarantined(key_of(row), target.name, reason) for row, reason in found.bad.items()
            ]
        return done

    def _begin(self, raw: psycopg.Connection[Any]) -> None:
        wire.begin_writing(raw, by_place=not self._written.has_parts)

    @property
    def _written(self) -> Statements:
        assert self._statements is not None  # there is nothing to store before reading
        return self._statements

    def _send(
        self, raw: psycopg.Connection[Any], prepared: Prepared, rows: Sequence[int] | None
    ) -> Callable[[], PGresult]:
        statements = self._written
        columns: list[Any] = [*prepared.places, *prepared.cells]
        if rows is not None:
            columns = [[column[row] for row in rows] for column in columns]
        parameters = [
            Parameter(pack(type_, column), type_.array_oid)
            for type_, column in zip(statements.array_types, columns, strict=True)
        ]
        return wire.send(raw, statements.store, parameters)

    def _stored(
        self,
        raw: psycopg.Connection[Any],
        prepared: Prepared,
        waiting: Callable[[], PGresult],
    ) -> Batch:
        try:
            changed = waiting().command_tuples or 0
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] not in _REFUSED:
                raise
            changed = self._one_by_one(raw, prepared)
        return self._counted(prepared, changed)

    def _one_by_one(self, raw: psycopg.Connection[Any], prepared: Prepared) -> int:
        """Store a batch of which some row is refused; that row is put into quarantine."""
        changed = 0
        wire.back_to_the_batch(raw)
        todo: list[Sequence[int]] = [range(prepared.size)]
        while todo:
            rows = todo.pop()
            self._begin(raw)
            try:
                changed += self._send(raw, prepared, rows)().command_tuples or 0
            except psycopg.Error as error:
                if (error.sqlstate or "")[:2] not in _REFUSED:
                    raise
                wire.back_to_the_batch(raw)
                if len(rows) > 1:
                    todo += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
                else:
                    prepared.quarantined.append(Quarantined(prepared.keys(rows[0]), "", REFUSED))
        return changed

    def _counted(self, prepared: Prepared, changed: int) -> Batch:
        refused = sum(item.reason == REFUSED for item in prepared.quarantined)
        return Batch(
            last=prepared.last,
            seen=prepared.seen,
            changed=changed,
            conflicts=prepared.size - changed - refused,
            quarantined=tuple(prepared.quarantined),
        )


def reencrypt_task(job: Job, tools: Tools) -> ReencryptTask:
    """Make the task of a job, with the models and the keyring of a worker.

    Raises:
        ConfigurationError: the models do not declare the table any more.

    """
    if tools.keyring is None:
        raise ConfigurationError("re-encryption needs keys: log in as [role.reencryptor]")
    return ReencryptTask(tools.keyring, find_target(tools.metadata, job.spec))


def _without_idle_rows(
    done: Prepared, places: Sequence[Sequence[bytes]], key_of: Callable[[int], Key]
) -> Prepared:
    """Leave out the rows of which nothing is to be stored."""
    done.places, done.keys = list(places), key_of
    if None not in done.cells[0]:
        return done
    busy = [any(cell is not None for cell in cells) for cells in zip(*done.cells, strict=True)]
    if not all(busy):
        kept = list(compress(range(len(busy)), busy))
        done.places = [list(compress(place, busy)) for place in places]
        done.cells = [list(compress(cells, busy)) for cells in done.cells]
        done.keys = lambda row: key_of(kept[row])
    return done
