"""A database full of encrypted rows, a Vault, and `vaultdb rotate --dek` as a process."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

import vaultdb
from tests.chaos.rotating_models import Base
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import write_settings
from tests.killed_rotation import COMMAND
from vaultdb.db.role_names import RoleNames
from vaultdb.engine.keyring import keyring_for
from vaultdb.roles.statements import statements
from vaultdb.roles.wanted import wanted_facts
from vaultdb.settings import Settings

TENANT = "acme"
MODELS = "tests.chaos.rotating_models:Base"
ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
KEYRING = "[keyring]\nsoft_ttl = 1.0\nhard_ttl = 2.0\n"
"""Short, because a rotation waits until every process knows the new keys."""
PARTITIONS = """
    CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO (3000);
    CREATE TABLE parted_middle PARTITION OF parted FOR VALUES FROM (3000) TO (9000);
    CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (9000) TO (MAXVALUE)
"""


@dataclass
class Counts:
    """A line of the table; None is not counted."""

    rows: int
    changed: int | None
    conflicts: int | None
    quarantined: int | None
    lost: int
    seconds: float


@dataclass
class Run:
    """The command, as a process."""

    process: subprocess.Popen[str]

    def end(self) -> Any:
        """Wait for its success; returns what it printed."""
        out, errors = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, out + errors
        return json.loads(out)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def session_of(settings_file: Path) -> Iterator[Session]:
    """A process of the application, with keys that live as long as the settings say."""
    settings = Settings.load(file=settings_file)
    with keyring_for(settings)() as keyring:
        engine = vaultdb.create_engine(settings=settings, keyring=keyring)
        try:
            with vaultdb.acting_as("nurse", tenant=TENANT), Session(engine) as session:
                yield session
        finally:
            engine.dispose()


class Rotating:
    """The tables of `rotating_models`, the commands, and what became of the rows."""

    def __init__(self, database: Database, vault: OpenBao, settings_file: Path) -> None:
        self.database = database
        self.settings_file = settings_file
        write_settings(settings_file, database, vault)
        text = settings_file.read_text() + KEYRING
        settings_file.write_text(
            text.replace("[database]\n", "[database]\nallow_excess_rights = true\n")
        )
        database.create_all(Base.metadata)
        with database.connect() as connection:
            connection.execute("SET ROLE vaultdb_owner")
            connection.execute(PARTITIONS)
            connection.execute("RESET ROLE")
            for statement in statements(wanted_facts(Base.metadata, RoleNames()), ()):
                connection.execute(statement)
        self.start("keys", "create", "--tenant", TENANT, "--json").end()
        self.started = time.monotonic()

    def new_data_key(self) -> None:
        """Make the next version of the DEK."""
        new = ("--new-version", "--purpose", "data")
        self.start("keys", "create", "--tenant", TENANT, *new, "--json").end()

    def fill(self, model: Any, rows: list[dict[str, Any]]) -> None:
        """Insert rows as the application would, and start the clock."""
        with session_of(self.settings_file) as session:
            session.execute(insert(model), rows)
            session.commit()
        self.started = time.monotonic()

    def start(self, *arguments: str) -> Run:
        """Start `vaultdb`."""
        process = subprocess.Popen(
            (*COMMAND, "--config", str(self.settings_file), *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        return Run(process)

    def rotate(self, *, per_second: int | None = None, models: str = MODELS) -> Run:
        """Start a rotation to the last row; slow it down so that something can happen to it."""
        paced = () if per_second is None else ("--max-rows-per-second", str(per_second))
        return self.start("rotate", "--dek", "--yes", "--json", "-m", models, *paced)

    def wait_until(self, run: Run, changed: int) -> None:
        """Wait until jobs have changed so many rows, of those that are still to be done."""
        deadline = time.monotonic() + PATIENCE
        while self.changed() < changed:
            assert run.process.poll() is None, run.process.communicate()
            assert time.monotonic() < deadline, "the rotation makes no progress"
            time.sleep(0.02)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask as the superuser."""
        with self.database.connect() as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def changed(self) -> int:
        return int(self.query("SELECT coalesce(sum(changed), 0) FROM vaultdb.job_chunk")[0][0])

    def active_key(self) -> bytes:
        """Return the id of the DEK that writes: the newest."""
        ((key_id,),) = self.query(
            "SELECT key_id FROM vaultdb.data_key"
            f" WHERE tenant = '{TENANT}' AND purpose = 'data' AND state = 'active'"
            " ORDER BY version DESC LIMIT 1"
        )
        return bytes(key_id)

    def key_ids(self, table: str, column: str) -> dict[bytes, int]:
        """Count the rows under each key id."""
        found = self.query(f'SELECT substr("{column}", 3, 16), count(*) FROM "{table}" GROUP BY 1')
        return {bytes(key_id): number for key_id, number in found}

    def contents(self, model: Any, attribute: str = "body") -> dict[int, Any]:
        """Read every value as a new process of the application does."""
        with session_of(self.settings_file) as session:
            found = session.execute(select(model.id, getattr(model, attribute)))
            return {row[0]: row[1] for row in found}

    def counts(self, *, rows: int, lost: int) -> Counts:
        """Return what the jobs counted, and the time since the rows were there."""
        seconds = time.monotonic() - self.started
        chunks = "SELECT sum(changed), sum(conflicts) FROM vaultdb.job_chunk"
        ((changed, conflicts),) = self.query(chunks)
        ((bad,),) = self.query("SELECT count(DISTINCT row_key) FROM vaultdb.job_quarantine")
        return Counts(rows, int(changed or 0), int(conflicts or 0), bad, lost, seconds)


@pytest.fixture
def rotating(tmp_path: Path) -> Callable[[Database, OpenBao], Rotating]:
    """Make the tables in a database of the test's choice."""

    def make(database: Database, vault: OpenBao) -> Rotating:
        return Rotating(database, vault, tmp_path / f"{database.name}.toml")

    return make
