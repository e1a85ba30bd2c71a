"""What the sequencer signs, drops and begins anew is whole to who verifies it."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.audit.commands import Commands, Ran, new_commands
from tests.integration.audit.test_checkpoint import closing_copy
from tests.integration.audit.test_retention import THIS_MONTH, months_ago
from vaultdb.audit import opening
from vaultdb.audit.event import Event, timestamp
from vaultdb.audit.kinds import DATA_READ
from vaultdb.db.auditlog import auditor, chains
from vaultdb.engine.auditing import open_auditor
from vaultdb.guard.principal import Acting
from vaultdb.settings import Settings


@pytest.fixture
def commands(
    tmp_path: Path,
    database: Database,
    openbao: OpenBao,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Commands:
    return new_commands(tmp_path, database, openbao, monkeypatch, capsys)


def write(database: Database, openbao: OpenBao, count: int) -> None:
    """Record some reads, as the application does."""
    settings = Settings(
        realm=database.realm,
        keys="vault",
        database={"url": SecretStr(database.url)},
        vault=openbao.values("app"),
        audit={"mode": "strict"},
    )
    with open_auditor(settings, "app") as log:
        for number in range(count):
            log.commit(Event(DATA_READ, {"id": str(number)}, Acting("dr-jones")))


def verify(commands: Commands) -> Ran:
    return commands.run("verify", "--checkpoints", str(commands.folder / "exported"))


def test_a_log_is_whole_when_months_were_dropped_as_announced(
    commands: Commands, database: Database, openbao: OpenBao
) -> None:
    old = datetime.combine(months_ago(1), time(12), UTC)
    with pytest.MonkeyPatch.context() as clock:
        for module in (opening, auditor, chains):
            clock.setattr(module, "timestamp", lambda: timestamp(old))
        write(database, openbao, 3)
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE vaultdb_audit.chain SET opened_at = %s", [old])
        connection.execute("UPDATE vaultdb_audit.event SET recorded_at = %s", [old])
    assert commands.run("partitions").code == 0
    assert commands.run("checkpoint", "--once").code == 0
    ran = verify(commands)
    assert ran.code == 0, ran.out + ran.err
    ran = commands.run("drop-before", f"{THIS_MONTH:%Y-%m}", "--yes")
    assert ran.code == 0, ran.err
    write(database, openbao, 2)
    assert commands.run("checkpoint", "--once").code == 0
    ran = verify(commands)
    assert ran.code == 0, ran.out + ran.err


def test_a_log_is_whole_in_a_new_epoch_and_the_loss_is_told(
    commands: Commands, database: Database, openbao: OpenBao
) -> None:
    write(database, openbao, 3)
    commands.run("checkpoint", "--once")
    with closing_copy(database) as restore:
        write(database, openbao, 3)
        commands.run("checkpoint", "--once")
        restore()
    assert verify(commands).code == 3
    assert commands.run("checkpoint", "--new-epoch", "--yes").code == 0
    write(database, openbao, 1)
    assert commands.run("checkpoint", "--once").code == 0
    ran = verify(commands)
    assert ran.code == 0, ran.out + ran.err
    assert "lost when an older state was restored" in ran.out + ran.err
