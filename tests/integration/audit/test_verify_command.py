"""`vaultdb audit verify`: with Vault and offline, what it prints, and its exit codes."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.audit.commands import Commands, new_commands
from vaultdb.audit.event import Event
from vaultdb.audit.kinds import DATA_READ
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.note import VerifierKey, origin_of
from vaultdb.engine.auditing import open_auditor
from vaultdb.guard.principal import Acting
from vaultdb.settings import Settings
from vaultdb.vault.escrow_opener import BATCH, VaultEscrowOpener, VaultWriterKeys
from vaultdb.vault.factory import new_client


@pytest.fixture
def commands(
    tmp_path: Path,
    database: Database,
    openbao: OpenBao,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Commands:
    return new_commands(tmp_path, database, openbao, monkeypatch, capsys)


def write(database: Database, openbao: OpenBao, count: int = 3) -> None:
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


def tamper(database: Database, statement: str) -> str:
    """Do something as the superuser; return what he returned."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return str(row[0])


def kept(commands: Commands) -> list[str]:
    return ["--checkpoints", str(commands.folder / "exported")]


def test_a_whole_log_is_whole_with_vault_and_offline(
    commands: Commands, database: Database, openbao: OpenBao, tmp_path: Path
) -> None:
    write(database, openbao)
    commands.run("checkpoint", "--once")
    key = tmp_path / "checkpoint.vkey"
    commands.run("keys", "--export-key", str(key))
    ran = commands.run("verify", *kept(commands))
    assert ran.code == 0, ran.out + ran.err
    assert ran.out.startswith("the audit log is whole: 5 records, 5 of them below a checkpoint")
    assert ran.err == ""
    ran = commands.run("verify", "--offline", "--key", str(key), *kept(commands), "--json")
    said = json.loads(ran.out)
    assert (ran.code, said["good"], said["first"], said["offline"]) == (0, True, None, True)
    assert said["records"] > 5, "that it was verified is in the log"
    assert said["leaves"] == 5


def test_a_verification_is_recorded_and_is_no_alarm_itself(
    commands: Commands, database: Database, openbao: OpenBao
) -> None:
    write(database, openbao)
    assert commands.run("verify").code == 0
    said = json.loads(commands.run("verify", "--json").out)
    assert said["good"]
    assert said["without_leaf"] == said["records"] == 5 + 3
    assert any("--checkpoints FILE" in remark for remark in said["remarks"])
    body = json.loads(
        tamper(database, "SELECT body FROM vaultdb_audit.event WHERE body LIKE '%audit.verified%'")
    )
    assert body["outcome"] == "good"
    assert body["principal"].startswith("operator:")


def test_a_changed_record_is_named_with_what_to_do(
    commands: Commands, database: Database, openbao: OpenBao
) -> None:
    write(database, openbao)
    commands.run("checkpoint", "--once")
    chain = tamper(
        database,
        "UPDATE vaultdb_audit.event SET body = replace(body, 'dr-jones', 'dr-smith')"
        ' WHERE body LIKE \'%"id":"1"%\' RETURNING chain',
    )
    ran = commands.run("verify", *kept(commands))
    assert ran.code == 3
    lines = ran.out.splitlines()
    assert lines[0].startswith("the audit log was changed: 1 problem in 5 records")
    assert lines[1].startswith(f"first bad record: chain {chain}, seq 2, data.read, 20")
    assert lines[1].endswith(": the record is not what its process wrote")
    assert lines[2].startswith("what to do: somebody changed the log past vaultdb")
    said = json.loads(commands.run("verify", "--json").out)
    assert said["total"] == 1
    first = said["first"]
    assert (first["kind"], first["chain"], first["seq"]) == ("changed", chain, 2)
    assert (first["leaf"], first["event"]) == (2, "data.read")


def test_a_log_that_was_rolled_back_is_named_only_with_what_was_exported(
    commands: Commands, database: Database, openbao: OpenBao
) -> None:
    write(database, openbao)
    commands.run("checkpoint", "--once")
    for table in ("event", "chain", "leaf", "checkpoint"):
        tamper(database, f"DELETE FROM vaultdb_audit.{table} RETURNING 1")
    assert commands.run("verify").code == 0
    ran = commands.run("verify", *kept(commands))
    assert ran.code == 3
    assert "a checkpoint of size 5 of epoch 1 was exported, and the log ends at size 0" in ran.out
    assert "--new-epoch" in ran.out


def test_what_cannot_be_verified_is_another_exit_code(
    commands: Commands, database: Database, openbao: OpenBao, tmp_path: Path
) -> None:
    write(database, openbao)
    commands.run("checkpoint", "--once")
    ran = commands.run("verify", "--offline")
    assert (ran.code, ran.out) == (1, "")
    assert "--export-key FILE" in ran.err
    empty, wrong = tmp_path / "empty", tmp_path / "wrong"
    empty.write_text("\n")
    key = VerifierKey(origin_of(str(database.realm)), MemoryAuditKeys().public_key)
    wrong.write_text(f"{key}\n")
    for arguments, said in {
        ("--key", str(tmp_path / "gone")): "No such file",
        ("--key", str(empty)): "is empty",
        ("--key", str(commands.folder / "vaultdb.toml")): "verifier key",
        ("--key", str(wrong), *kept(commands)): "not signed by a key that is trusted",
        ("--checkpoints", str(wrong)): "holds no checkpoint",
    }.items():
        ran = commands.run("verify", *arguments)
        assert (ran.code, ran.out) == (1, ""), arguments
        assert said in ran.err


def test_offline_asks_vault_for_nothing(
    commands: Commands, database: Database, openbao: OpenBao, tmp_path: Path
) -> None:
    write(database, openbao)
    commands.run("checkpoint", "--once")
    key = tmp_path / "checkpoint.vkey"
    commands.run("keys", "--export-key", str(key))
    path = commands.folder / "vaultdb.toml"
    path.write_text(path.read_text().replace(openbao.addr, "https://127.0.0.1:1"))
    ran = commands.run("verify", "--offline", "--key", str(key), *kept(commands))
    assert ran.code == 0, ran.err
    ran = commands.run("verify", *kept(commands))
    assert (ran.code, ran.out) == (1, "")


def test_nothing_is_written_into_what_is_read_by_a_login_that_may_not(
    commands: Commands, database: Database
) -> None:
    path = commands.folder / "vaultdb.toml"
    reader = database.url_for("vaultdb_audit_reader")
    path.write_text(path.read_text().replace(reader, database.url))
    ran = commands.run("verify")
    assert (ran.code, ran.out) == (1, "")
    assert "permission denied" in ran.err


def test_what_was_found_is_told_also_when_the_log_takes_no_record_of_it(
    commands: Commands, database: Database, openbao: OpenBao
) -> None:
    write(database, openbao)
    commands.run("checkpoint", "--once")
    tamper(
        database,
        "SELECT 1; CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER swallow BEFORE INSERT ON vaultdb_audit.event"
        " FOR EACH ROW EXECUTE FUNCTION public.swallow()",
    )
    ran = commands.run("verify")
    assert ran.code == 1
    assert ran.out.startswith("the audit log is whole")
    assert "error" in ran.err
    chain = tamper(database, "DELETE FROM vaultdb_audit.event WHERE seq = 1 RETURNING chain")
    ran = commands.run("verify")
    assert ran.code == 3
    assert f"first bad record: chain {chain}, seq 1" in ran.out
    assert "could not be recorded" in ran.err


def test_the_exit_code_is_that_of_the_process(
    commands: Commands, database: Database, openbao: OpenBao
) -> None:
    write(database, openbao)
    tamper(database, "DELETE FROM vaultdb_audit.event WHERE seq = 1 RETURNING 1")
    with commands.start("verify") as running:
        out, err = running.communicate(timeout=60)
    assert running.returncode == 3, err
    assert "seq 1" in out


def test_the_escrow_opens_in_batches_and_what_is_no_ciphertext_stays_shut(
    openbao: OpenBao, database: Database
) -> None:
    write(database, openbao, 1)
    sealed = json.loads(tamper(database, "SELECT opening FROM vaultdb_audit.chain"))["escrow"]
    asked = [sealed, "", "nonsense", "vault:v1:AAAA", "vault:v9:" + sealed[9:], "ü", sealed]
    with closing(new_client(openbao.settings("auditor"))) as client:
        opener = VaultEscrowOpener(client, mount=openbao.transit_mount, kek=openbao.kek)
        keys = opener.open(asked)
        many = opener.open([sealed] * (BATCH + 1))
    assert keys[0] is not None
    assert len(keys[0]) == 32
    assert keys == [keys[0], None, None, None, None, None, keys[0]]
    assert many == [keys[0]] * (BATCH + 1)


def test_public_keys_are_known_by_role_and_version_and_asked_for_once(openbao: OpenBao) -> None:
    path = f"{openbao.transit_mount}/keys/{openbao.kek}-writer-backup"
    with closing(new_client(openbao.settings("auditor"))) as client:
        where = {"mount": openbao.transit_mount, "kek": openbao.kek}
        before = VaultWriterKeys(client, **where)
        newest = max(int(each) for each in openbao.admin.read(path)["data"]["keys"])
        first = before.writer_public_key("backup", newest)
        openbao.admin.write(f"{path}/rotate")
        assert before.writer_public_key("backup", newest + 1) is None
        after = VaultWriterKeys(client, **where)
        second = after.writer_public_key("backup", newest + 1)
        assert after.writer_public_key("backup", newest) == first != second
        assert first is not None
        assert second is not None
        for role in ("nobody", "", "app/../../sys", "../escrow", "app\n"):
            assert after.writer_public_key(role, 1) is None
