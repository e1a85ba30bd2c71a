"""Give every record of the log its leaf, chain by chain, and sign the tree.

One transaction for a batch: leaves, the heads of their chains, and the checkpoint commit together,
so that a sequencer may be killed at any moment. Records are taken in the order of `seq` of their
own chain, and no chain waits for another: an idle transaction holds up nothing but itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from sqlalchemy import Connection, Engine

from vaultdb.audit.chain import Record
from vaultdb.audit.merkle import leaf_hash
from vaultdb.jobs.audit import sequencer_rows as rows
from vaultdb.jobs.audit.sequencer_failures import log_failures
from vaultdb.jobs.audit.sequencer_gaps import Gap, Gaps
from vaultdb.jobs.audit.signing import VERIFY, CheckpointRefused, LogState, NoteSigner, Signed
from vaultdb.logs import AUDIT

BATCH = 10_000
"""Records of one transaction and one signature; a few megabytes."""
RECENT = 3 * 86_400.0
"""Seconds since its opening that a chain is looked at in every step: longer than chains get old."""
ALL_EVERY = 30.0
"""Seconds between two looks at older chains too, such as those of killed processes."""

Tell = Callable[[int, Sequence[Record]], None]
"""Takes the index of the first leaf and the records from there on, before they are committed."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction of the sequencer did.

    Args:
        signed: the newest checkpoint; None while there is none.
        added: leaves below it that are new.
        is_behind: whether more records wait.
        is_busy: whether another sequencer was at work, so that this one did nothing.
        doubles: rows that claim the place of another record.
        gaps: chains that wait for too long.
        seconds: how long it took.

    """

    signed: Signed | None = None
    added: int = 0
    is_behind: bool = False
    is_busy: bool = False
    doubles: int = 0
    gaps: Sequence[Gap] = field(default=())
    seconds: float = 0.0


class Sequencer:
    """Works by the sequencer's login; one at a time, by an advisory lock.

    Args:
        engine: of that login.
        signer: signs the checkpoints.
        gaps: what to make of missing records.
        tell: called with the records of each batch before it is committed; may see one twice.
        batch: records of one transaction.

    """

    def __init__(
        self,
        engine: Engine,
        signer: NoteSigner,
        *,
        gaps: Gaps | None = None,
        tell: Tell | None = None,
        batch: int = BATCH,
    ) -> None:
        self._engine = engine
        self._signer = signer
        self._gaps = Gaps() if gaps is None else gaps
        self._tell = tell
        self._batch = batch
        self._known: Signed | None = None
        self._looked_at_all: float | None = None

    def must_follow(self, exported: Signed | None) -> None:
        """Refuse from now on a log that does not go on from this checkpoint.

        Args:
            exported: the newest that was kept out of reach of the database's administrators.

        """
        if exported and (self._known is None or self._known.place < exported.place):
            self._known = exported

    def state(self) -> LogState:
        """Return the tree as it is, without adding to it.

        Raises:
            As `step`.

        """
        with self._begin() as connection:
            return self._believed(connection)

    def backlog(self) -> int:
        """Return about how many records have no leaf yet."""
        with self._begin() as connection:
            return rows.read_backlog(connection)

    def step(self) -> Step:
        """Add the leaves of one batch, and sign the tree if it grew.

        Raises:
            AuditUnavailable: the database cannot be reached.
            VaultError: Vault does not sign now.
            CheckpointRefused: the log is not what was signed before.
            SchemaError: the log's tables are not there.

        """
        start = monotonic()
        with self._begin() as connection:
            if not rows.is_alone(connection):
                return Step(self._known, is_busy=True)
            state = self._believed(connection)
            everything = self._is_time_for_all(start)
            waiting = rows.read_waiting(connection, None if everything else RECENT)
            taken, is_behind = self._take(connection, waiting)
            signed = self._append(connection, state, taken) if taken else state.newest
        self._known = signed
        if everything:
            self._looked_at_all = start
        doubles = sum(each.doubles for each in taken)
        if doubles:
            AUDIT.error(
                "%d rows of the audit log claim the place of another record; run:"
                " vaultdb audit verify",
                doubles,
            )
        return Step(
            signed,
            sum(len(each.records) for each in taken),
            is_behind,
            doubles=doubles,
            gaps=self._gaps.look(waiting, everything=everything),
            seconds=monotonic() - start,
        )

    def _take(
        self, connection: Connection, waiting: Sequence[rows.Waiting]
    ) -> tuple[list[rows.Taken], bool]:
        all_ready = [each for each in waiting if not each.is_gap]
        ready = all_ready[: self._batch]
        if not ready:
            return [], False
        each = max(1, self._batch // len(ready))
        taken = rows.take(connection, ready, each)
        has_more = any(
            chain.has_gap or len(chain.records) + chain.doubles >= each for chain in taken
        )
        return taken, has_more or len(all_ready) > len(ready)

    def _append(
        self, connection: Connection, state: LogState, taken: Sequence[rows.Taken]
    ) -> Signed:
        first, frontier = state.size, state.frontier

        def hashed(record: Record) -> bytes:
            leaf = leaf_hash(record)
            frontier.add(leaf)
            return leaf

        rows.store(connection, first, taken, hashed)
        signed = self._signer.sign(state.epoch, frontier)
        rows.store_checkpoint(connection, signed, frontier.dump())
        if self._tell:
            self._tell(first, list(rows.each_record(taken)))
        return signed

    def _believed(self, connection: Connection) -> LogState:
        state = rows.read_state(connection, self._signer)
        known = self._known
        if known is None or (state.newest and state.newest.note == known.note):
            return state
        if state.place < known.place:
            raise CheckpointRefused(
                f"the database ends at size {state.place[1]:,} of epoch {state.place[0]}, and"
                f" {known} was signed before; after a restore from a backup or the loss of a"
                " primary run: vaultdb audit checkpoint --new-epoch; else somebody rolled the log"
                " back"
            )
        if state.epoch == known.epoch:
            self._check_goes_on(connection, known)
        return state

    def _check_goes_on(self, connection: Connection, known: Signed) -> None:
        note = rows.stored_note(connection, *known.place)
        try:
            same = note is not None and self._signer.read(note).checkpoint == known.checkpoint
        except ValueError:
            same = False
        if not same:
            raise CheckpointRefused(
                f"the checkpoint of {known} is not in the database as it was signed: {VERIFY}"
            )

    def _is_time_for_all(self, now: float) -> bool:
        return self._looked_at_all is None or now - self._looked_at_all >= ALL_EVERY

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with (
            log_failures("sequence the audit log"),
            self._engine.begin() as connection,
        ):
            yield connection
