"""An application that goes on writing, and knows what it has written."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from uuid import UUID

from sqlalchemy import select, update

from vaultdb.demo.model import Patient
from vaultdb.demo.stage import Stage


class Writer:
    """Adds 1 to an encrypted column of one patient after the other, each in a transaction.

    It reads, decrypts, adds, encrypts and writes, without a lock on the row in between: who puts an
    older value back meanwhile takes an addition away.

    Args:
        stage: with the patients in the table.

    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self.added: Counter[UUID] = Counter()
        """How often something was added, by patient; only what was committed."""

    @property
    def writes(self) -> int:
        """How many transactions were committed."""
        return self.added.total()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in a thread as long as the block runs; what stops the writer is raised after it."""
        thread = threading.Thread(target=self._write, name="vaultdb demo writer")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
        if self._error is not None:
            raise self._error

    def lost(self) -> int:
        """Return how many additions the table does not have."""
        with self._stage.session() as session:
            found = dict(session.execute(select(Patient.id, Patient.expenses)).tuples().all())
        before = {patient["id"]: patient["expenses"] for patient in self._stage.patients}
        return sum(int(before[key] + self.added[key] - expenses) for key, expenses in found.items())

    def _write(self) -> None:
        try:
            for patient in cycle(patient["id"] for patient in self._stage.patients):
                if self._stop.is_set():
                    return
                self._add_one(patient)
        except Exception as error:  # noqa: BLE001  # it is raised where the thread is waited for
            self._error = error

    def _add_one(self, patient: UUID) -> None:
        this_one = Patient.id == patient
        with self._stage.session() as session:
            expenses = session.scalars(select(Patient.expenses).where(this_one)).one()
            session.execute(update(Patient).where(this_one).values(expenses=expenses + 1))
            session.commit()
        self.added[patient] += 1
