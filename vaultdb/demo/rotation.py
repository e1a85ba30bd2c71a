"""New data keys and every row under them, while the application goes on writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import QueuePool, select

from vaultdb.db.connect import new_engine
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.demo.model import Base, Patient
from vaultdb.demo.stage import Stage, expect, row_of
from vaultdb.demo.writer import Writer
from vaultdb.jobs.rotation.logins import Logins
from vaultdb.jobs.rotation.retire import Retirement
from vaultdb.jobs.rotation.run import How, RowRotation
from vaultdb.jobs.rotation.selection import Selection
from vaultdb.jobs.rotation.usage import usage
from vaultdb.jobs.work.task import Tools
from vaultdb.jobs.work.throttle import NoThrottle
from vaultdb.keys.wrapped_key import Purpose
from vaultdb.vault.factory import new_keyring

if TYPE_CHECKING:
    from vaultdb.jobs.work.job import Job, JobResult, Progress
    from vaultdb.keys.wrapped_key import WrappedKey

MODELS = [Base.metadata]


@dataclass(slots=True)
class Counts:
    """What a rotation under a running writer came to.

    Args:
        reencrypted: rows, by the rotation.
        conflicts: rows that the writer had changed or locked when their turn came.
        writes: transactions of the writer meanwhile.
        lost: those of them that the table does not have.
        values: in the encrypted columns.
        under_old_key: those of them that are under the old data key.
        old_key: the state of that key.

    """

    reencrypted: int = 0
    conflicts: int = 0
    writes: int = 0
    lost: int = 0
    values: int = 0
    under_old_key: int = 0
    old_key: str = ""


class Rotation:
    """The steps about a rotation of rows; each returns what came of it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._logins = Logins(stage.settings)
        self._ttl = stage.settings().keyring.hard_ttl
        self._writer = Writer(stage)
        self.counts = Counts()
        """Complete after `retire`."""

    def rotate(self) -> str:
        """Make a data key and bring every row under it, while the application writes."""
        rotation = RowRotation(
            self._logins,
            MODELS,
            Selection(),
            How(ttl=self._ttl),
            tools_of=lambda _table: self._tools,
            told=_Nobody(),
        )
        with self._writer.writing():
            done = rotation.run(rotation.plan())
        expect(not done.is_stuck, "the rotation has left rows behind")
        results = done.jobs.values()
        self.counts.reencrypted = sum(result.changed for result in results)
        self.counts.conflicts = sum(result.conflicts for result in results)
        return f"{self.counts.reencrypted:,} rows re-encrypted"

    def compare(self) -> str:
        """Compare the column that the application has changed meanwhile with what it wrote."""
        counts = self.counts
        counts.writes, counts.lost = self._writer.writes, self._writer.lost()
        expect(counts.writes > 0, "the application has not written during the rotation")
        expect(counts.lost == 0, f"{counts.lost} updates were lost")
        return f"{counts.writes:,}, of which {counts.lost} were lost"

    def retire(self) -> str:
        """Count the values under the old data key, and take the key out of use."""
        counts = self.counts
        old, new = self._data_keys()
        with self._logins.rows("count the rows under each key") as connection:
            by_key = usage(connection, MODELS, [old, new]).by_key()
        counts.values = by_key[old.key_id] + by_key[new.key_id]
        counts.under_old_key = by_key[old.key_id]
        expect(counts.under_old_key == 0, "values are still under the old data key")
        retirement = Retirement(self._logins, MODELS, Selection(), ttl=self._ttl)
        retirement.carry_out(retirement.judge())
        old, new = self._data_keys()
        counts.old_key = old.state
        expect((old.state, new.state) == ("disabled", "active"), "the old data key is in use")
        return f"0 of {counts.values:,} values, {counts.old_key}"

    def read_back(self) -> str:
        """Read every patient with keys fetched anew and compare with what was loaded."""
        stage, added = self._stage, self._writer.added
        stage.engine.dispose()
        with stage.session() as session:
            found = {patient.id: row_of(patient) for patient in session.scalars(select(Patient))}
        for key, patient in found.items():
            patient["expenses"] -= added[key]
        expect(
            found == {patient["id"]: patient for patient in stage.patients},
            "what was read is not what was loaded",
        )
        return f"{len(found):,} patients, all as loaded"

    def _data_keys(self) -> Sequence[WrappedKey]:
        """Return both versions, the older one first."""
        with self._logins.store("rotator") as store:
            keys = store.all(self._stage.settings().realm)
        data = [key for key in keys if key.scope.purpose is Purpose.DATA]
        return sorted(data, key=lambda key: key.version)

    @contextmanager
    def _tools(self) -> Iterator[Tools]:
        """Decrypt as the re-encryptor and change rows as the rotator."""
        opening, changing = self._stage.settings("reencryptor"), self._stage.settings("rotator")
        engine = new_engine(changing, poolclass=QueuePool)
        try:
            with (
                closing(PostgresKeyStore(changing)) as store,
                closing(new_keyring(opening, store)) as keyring,
            ):
                yield Tools(Base.metadata, keyring, opening, engine, NoThrottle())
        finally:
            engine.dispose()


class _Nobody:
    """Hears how the rotation goes on and says nothing; it is over in seconds."""

    def made(self, keys: Sequence[WrappedKey]) -> None:
        """Hear of new keys."""

    def worked(self, job: Job, progress: Progress) -> None:
        """Hear how far a job has come."""

    def ended(self, table: str, result: JobResult) -> None:
        """Hear that a job is over."""

    def waits(self, seconds: float) -> None:
        """Hear that it is waited until the application knows the new key."""

    def promoted(self, keys: Sequence[WrappedKey]) -> None:
        """Hear of index keys; a unique index keeps its own."""
