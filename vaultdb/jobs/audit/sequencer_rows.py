"""What the sequencer reads and writes, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from uuid import UUID

from psycopg.types.numeric import Int8
from sqlalchemy import Connection, insert, select, text

from vaultdb.audit.chain import Record
from vaultdb.audit.kinds import CHAIN_CLOSED
from vaultdb.db.audit_schema import checkpoint
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.jobs.audit.signing import LogState, NoteSigner, Signed, believed

_PACKAGE = "vaultdb.jobs.audit"
_WAITING = text(shipped_sql(_PACKAGE, "waiting"))
_NEXT = shipped_sql(_PACKAGE, "next_records")
_ADVANCE = shipped_sql(_PACKAGE, "advance")
_LEAVES = shipped_sql(_PACKAGE, "leaves").strip()
_STATE = text(shipped_sql(_PACKAGE, "state"))
_BACKLOG = text(shipped_sql(_PACKAGE, "backlog"))
_LOCK = text("SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtext('vaultdb.audit'))")
_CAREFUL = text(
    "SELECT pg_catalog.set_config('lock_timeout', '5s', true),"
    " pg_catalog.set_config('enable_seqscan', 'off', true)"  # until statistics are there
)
_CLOSED = f'"event":"{CHAIN_CLOSED.name}"'


@dataclass(frozen=True, slots=True)
class Waiting:
    """A chain with records that have no leaf.

    Args:
        chain: its id.
        sequenced: the seq of its last leaf, -1 without any.
        seq: of the first record above.
        seconds: how long that waits, by the server's clock.

    """

    chain: UUID
    sequenced: int
    seq: int
    seconds: float

    @property
    def is_gap(self) -> bool:
        """Whether a record is missing in between."""
        return self.seq != self.sequenced + 1


@dataclass(frozen=True, slots=True)
class Taken:
    """The next records of one chain, without a gap.

    Args:
        records: at least one.
        is_closed: whether the last of them ends the chain.
        doubles: how many rows claim a seq that another row has.
        has_gap: whether later records are there, behind a missing one.

    """

    records: Sequence[Record]
    is_closed: bool
    doubles: int
    has_gap: bool

    @property
    def last(self) -> Record:
        """The record up to which the chain has leaves then."""
        return self.records[-1]


def is_alone(connection: Connection) -> bool:
    """Keep other sequencers out until the transaction ends; False if one is at work."""
    return bool(connection.execute(_LOCK).scalar_one())


def read_state(connection: Connection, signer: NoteSigner) -> LogState:
    """Return the tree up to the newest checkpoint.

    Raises:
        CheckpointRefused: it is not what was signed.

    """
    row = connection.execute(_STATE).one()  # one snapshot: another sequencer may commit meanwhile
    newest = None if row.note is None else (row.epoch, row.size, row.frontier, row.note)
    return believed(newest, row.leaves, signer)


def stored_note(connection: Connection, epoch: int, size: int) -> str | None:
    """Return the checkpoint of that place, if it is there."""
    wanted = (checkpoint.c.epoch == epoch, checkpoint.c.size == size)
    return connection.execute(select(checkpoint.c.note).where(*wanted)).scalar_one_or_none()


def read_waiting(connection: Connection, recent: float | None) -> list[Waiting]:
    """Return the chains with records that have no leaf, those that wait longest first.

    Args:
        connection: of the sequencer.
        recent: look only at chains that were opened within so many seconds; None is all.

    """
    connection.execute(_CAREFUL)
    asked = {"everything": recent is None, "recent": f"{recent or 0} seconds"}
    return [Waiting(*row) for row in connection.execute(_WAITING, asked)]


def read_backlog(connection: Connection) -> int:
    """Return about how many records have no leaf."""
    connection.execute(_CAREFUL)
    return int(connection.execute(_BACKLOG).scalar_one())


def take(connection: Connection, ready: Sequence[Waiting], each: int) -> list[Taken]:
    """Return the next records of each chain, as far as there is no gap.

    Args:
        connection: of the sequencer.
        ready: chains whose next record is there.
        each: rows of one chain at most.

    """
    asked = {
        "chains": [waiting.chain for waiting in ready],
        "sequenced": [Int8(waiting.sequenced) for waiting in ready],
        "each": each,
    }
    with _driver(connection).cursor(binary=True) as cursor:
        cursor.execute(_NEXT, asked)
        rows = [Record(*row) for row in cursor]
    place = {waiting.chain: number for number, waiting in enumerate(ready)}
    rows.sort(key=lambda record: (place[record.chain], record.seq))
    sequenced = {waiting.chain: waiting.sequenced for waiting in ready}
    return [
        _contiguous(chain_rows, sequenced[chain])
        for chain, chain_rows in groupby(rows, key=lambda record: record.chain)
    ]


def store(
    connection: Connection,
    first: int,
    taken: Sequence[Taken],
    hash_of: Callable[[Record], bytes],
) -> None:
    """Add leaves, and remember how far each chain has them.

    Args:
        connection: of the sequencer.
        first: the index of the first leaf.
        taken: whose records get leaves, in this order.
        hash_of: returns the leaf hash.

    """
    index = first
    with _driver(connection).cursor() as cursor:
        with cursor.copy(_LEAVES) as copy:
            copy.set_types(["int8", "uuid", "int8", "bytea"])
            for record in each_record(taken):
                copy.write_row((index, record.chain, record.seq, hash_of(record)))
                index += 1
        cursor.execute(
            _ADVANCE,
            {
                "chains": [each.last.chain for each in taken],
                "seqs": [Int8(each.last.seq) for each in taken],
                "done": [each.is_closed for each in taken],
            },
        )


def store_checkpoint(connection: Connection, signed: Signed, frontier: bytes) -> None:
    """Store a checkpoint beside the leaves that it signs."""
    connection.execute(
        insert(checkpoint),
        {
            "epoch": signed.epoch,
            "size": signed.checkpoint.size,
            "frontier": frontier,
            "note": signed.note,
        },
    )


def each_record(taken: Iterable[Taken]) -> Iterable[Record]:
    """Return the records in the order of their leaves."""
    return (record for each in taken for record in each.records)


def _contiguous(rows: Iterable[Record], sequenced: int) -> Taken:
    records: list[Record] = []
    doubles = 0
    expected, is_closed, has_gap = sequenced + 1, False, False
    for record in rows:
        if record.seq == expected - 1 and records:
            doubles += 1
            continue
        has_gap = record.seq != expected
        if has_gap or is_closed:
            break
        records.append(record)
        is_closed = _closes(record.body)
        expected += 1
    return Taken(records, is_closed, doubles, has_gap)


def _closes(body: str) -> bool:
    """Return whether a record ends its chain; a quotation inside of a string is escaped."""
    if _CLOSED not in body:
        return False
    try:
        said: Any = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("event") == CHAIN_CLOSED.name


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
