"""``vaultdb rotate`` against a Vault of its own: rotate, verify, and survive being killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bulk_keys import store_many, wrap_many
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import Run, write_settings
from tests.killed_rotation import Rotation


@pytest.fixture
def vault(
    own_openbao: OpenBao, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OpenBao:
    write_settings(tmp_path / "vaultdb.toml", database, own_openbao)
    monkeypatch.chdir(tmp_path)
    return own_openbao


def test_plan_rotate_verify_and_rotate_again(run: Run, vault: OpenBao) -> None:
    run("keys", "create", "--tenant", "acme")
    before = {key["key_id"] for key in run("keys", "list", "--json").json}
    plan = run("rotate", "--kek", "--plan")
    assert plan.out == "rotate the KEK, from version 1 to 2\nrewrap 2 of 2 data keys\n"
    assert run("rotate", "--kek", "--plan", "--json").json["kek"]["kek_version"] == 1

    rotated = run("rotate", "--kek", "--yes")
    assert rotated.code == 0, rotated.err
    assert "rewrapped 2 data keys under version 2 of the KEK" in rotated.out
    assert "run: vaultdb keys verify" in rotated.out
    status = run("keys", "status", "--json").json
    assert (status["kek_version"], status["unverified"]) == (2, 2)
    assert run("keys", "verify", "--json").json == {"verified": 2, "taken_back": [], "broken": []}
    assert run("keys", "status", "--json").json["unverified"] == 0

    done = run("rotate", "--kek", "--yes", "--json").json
    assert (done["rotated"], done["kek_version"], done["rewrapped"]) == (True, 3, 2)
    assert {key["key_id"] for key in run("keys", "list", "--json").json} == before


def test_each_rotation_leaves_a_backup_of_the_key_table_where_the_setting_says(
    run: Run, vault: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    monkeypatch.setenv("VAULTDB_KEY_BACKUP_FOLDER", str(folder))
    run("keys", "create")
    assert "2 keys, 0 tombstones among them" in run("rotate", "--kek", "--yes").out
    (first,) = folder.iterdir()
    backup = run("rotate", "--kek", "--yes", "--json").json["backup"]
    assert (backup["keys"], Path(backup["file"]).parent) == (2, folder)
    header = json.loads(Path(backup["file"]).read_bytes().splitlines()[0])
    assert header["kek_versions"] == {vault.kek: [3, 3]}
    assert header["previous"]["file"] == first.name
    folder.rename(tmp_path / "unmounted")
    failed = run("rotate", "--kek", "--yes")
    assert failed.failed_with("correct keyring.backup_folder")
    assert "rewrapped 2 data keys under version 4" in failed.out


def test_a_kek_rotated_by_vault_itself_is_caught_up_with(run: Run, vault: OpenBao) -> None:
    run("keys", "create")
    vault.admin.write(f"{vault.transit_mount}/keys/{vault.kek}/rotate")
    assert "2 keys under an older KEK; run: vaultdb rotate" in run("keys", "status").out
    plan = run("rotate", "--kek", "--plan").out
    assert "an earlier rotation is unfinished: do not rotate it again" in plan
    assert run("rotate", "--kek", "--yes", "--json").json["rotated"] is False
    assert run("rotate", "--kek", "--yes", "--json").json["kek_version"] == 3
    assert run("rotate", "--rewrap", "--yes", "--json").json["rewrapped"] == 0


def test_a_key_that_vault_will_not_rewrap_is_named(
    run: Run, vault: OpenBao, database: Database
) -> None:
    run("keys", "create")
    with database.connect() as connection:
        connection.execute(
            "UPDATE vaultdb.data_key SET wrapped = left(wrapped, -4) || 'AAA=' "
            "WHERE purpose = 'data'"
        )
    ran = run("rotate", "--kek", "--yes")
    assert ran.code == 1
    assert "rewrapped 1 data key under" in ran.out
    assert "not rewrapped: " in ran.out
    assert "vault:v1" not in ran.out + ran.err


def test_an_earlier_minimum_of_vault_is_explained(run: Run, vault: OpenBao) -> None:
    run("keys", "create")
    key = f"{vault.transit_mount}/keys/{vault.kek}"
    vault.admin.write(f"{key}/rotate")
    vault.admin.write(f"{key}/config", min_decryption_version=2)
    ran = run("rotate", "--kek", "--yes")
    assert ran.code == 1
    assert ran.out.count("not rewrapped: ") == 2


@pytest.fixture
def rotation(vault: OpenBao, database: Database, tmp_path: Path) -> Rotation:
    keys = wrap_many(vault.admin, database.realm, 2_000, mount=vault.transit_mount, kek=vault.kek)
    with database.connect() as connection:
        store_many(connection, keys)
    return Rotation(database, tmp_path / "vaultdb.toml", keys)


def test_a_rotation_killed_twice_is_finished_by_the_third_run(rotation: Rotation) -> None:
    assert rotation.run_and_kill_at(0) < 2_000
    assert rotation.run_and_kill_at(600) < 2_000
    rotation.run_to_the_end()
    rotation.assert_nothing_is_lost(kek_version=2)
