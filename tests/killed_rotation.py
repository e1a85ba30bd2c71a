"""Run ``vaultdb rotate`` as a process of its own, kill it at a chosen point, look at what is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.postgres import Database
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.db.rewraps import RewrapTable
from vaultdb.jobs.verify import verify
from vaultdb.keys.wrapped_key import WrappedKey
from vaultdb.settings import Settings
from vaultdb.vault.factory import new_provider

COMMAND = (sys.executable, "-c", "from vaultdb.cli import main; main()")
SLICE = 0.03  # seconds that it runs between two looks
PATIENCE = 60.0  # seconds that one run may take on a busy machine


@dataclass
class Rotation:
    """A database full of keys, and the settings to rotate them with."""

    database: Database
    settings_file: Path
    keys: list[WrappedKey]

    def run_and_kill_at(self, rewrapped: int) -> int:
        """Run until at least *rewrapped* keys are rewrapped, kill -9, return how many are.

        For zero the point is as soon as the KEK has been rotated.
        """
        process = self._start()
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None:
            # It stands still while we look, or it would be done before we have seen anything.
            process.send_signal(signal.SIGSTOP)
            if self._reached(rewrapped):
                break
            assert time.monotonic() < deadline, "the rotation makes no progress"
            process.send_signal(signal.SIGCONT)
            time.sleep(SLICE)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return self._rewrapped()

    def run_to_the_end(self) -> None:
        """Run until it is done."""
        process = self._start()
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors

    def assert_nothing_is_lost(self, *, kek_version: int) -> None:
        """Every key is there, under one version of the KEK, and opens to its own id."""
        settings = Settings.load(file=self.settings_file, role="rotator")
        opener = Settings.load(file=self.settings_file, role="reencryptor")
        with closing(PostgresKeyStore(settings.database)) as store:
            rows = store.all(settings.realm)
            assert {row.key_id for row in rows} == {key.key_id for key in self.keys}
            assert {row.kek_version for row in rows} == {kek_version}
            assert all(row.wrapped.startswith(f"vault:v{kek_version}:") for row in rows)
            with closing(new_provider(opener)) as provider:
                assert provider.latest_version() == kek_version
                found = verify(provider, RewrapTable(store, settings.realm))
        assert (found.verified, found.taken_back, found.broken) == (len(self.keys), (), ())

    def _start(self) -> subprocess.Popen[bytes]:
        arguments = ("--config", str(self.settings_file), "rotate", "--kek", "--yes", "--json")
        return subprocess.Popen(
            (*COMMAND, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def _reached(self, rewrapped: int) -> bool:
        if rewrapped:
            return self._rewrapped() >= rewrapped
        settings = Settings.load(file=self.settings_file, role="rotator")
        with closing(new_provider(settings)) as provider:
            return provider.latest_version() > 1

    def _rewrapped(self) -> int:
        with self.database.connect() as connection:
            query = "SELECT count(*) FROM vaultdb.data_key WHERE wrapped_prev IS NOT NULL"
            row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])
