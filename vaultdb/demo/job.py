"""The main job, step by step on real servers; each step says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from vaultdb.demo.auditing import Auditing
from vaultdb.demo.privileges import Privileges
from vaultdb.demo.rotation import Rotation
from vaultdb.demo.stage import Row, Stage
from vaultdb.demo.values import Values
from vaultdb.dev.stack import DevStack


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the report."""

    name: str
    result: str
    seconds: float


class Demo:
    """The main job on servers that run.

    Args:
        stack: a dev stack that is up, with an empty database.
        patients: at least two, from `vaultdb.demo.data.read_patients`.

    Raises:
        ConfigurationError: too few patients to exchange anything.

    """

    def __init__(self, stack: DevStack, patients: Sequence[Row]) -> None:
        self._stage = Stage(stack, patients)
        self.values = Values(self._stage)
        self.privileges = Privileges(self._stage)
        self.rotation = Rotation(self._stage)
        self.auditing = Auditing(self._stage)

    def run(self, began: Callable[[str], None]) -> Iterator[Step]:
        """Take every step; `began` is told its name first.

        Raises:
            BrokenPromiseError: a promise is broken; says which.

        """
        try:
            for name, act in self._steps():
                began(name)
                start = perf_counter()
                result = act()
                yield Step(name, result, perf_counter() - start)
        finally:
            self._stage.close()

    def _steps(self) -> Sequence[tuple[str, Callable[[], str]]]:
        values, privileges, rotation = self.values, self.privileges, self.rotation
        auditing = self.auditing
        return (
            ("migrate (migrator)", privileges.migrate),
            ("create data keys (key officer)", values.create_keys),
            ("lease a login (application)", privileges.log_in),
            ("load patients (application)", values.load),
            ("find one by SSN", values.find),
            ("look at the same row with psql", values.look),
            ("search a stolen dump", values.steal),
            ("exchange two ciphertexts", values.exchange_ciphertexts),
            ("exchange two index values", values.exchange_index_values),
            ("decrypt as the migrator", privileges.decrypt),
            ("change the table as the app", privileges.change_the_schema),
            ("verify every privilege", privileges.verify),
            ("make two mistakes (superuser)", privileges.drift),
            ("repair them (roles apply)", privileges.repair),
            ("revoke the app's lease", privileges.revoke),
            ("rotate the KEK (rotator)", values.rotate),
            ("rotate the rows, under a writer", rotation.rotate),
            ("count the writes meanwhile", rotation.compare),
            ("retire the old data key", rotation.retire),
            ("read everything back", rotation.read_back),
            ("look at a patient as Dr Jones", auditing.look),
            ("sign the audit log (sequencer)", auditing.sign),
            ("verify the audit log (auditor)", auditing.verify),
            ("change a record (superuser)", auditing.change),
            ("delete another one", auditing.delete),
        )
