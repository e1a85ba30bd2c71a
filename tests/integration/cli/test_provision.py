"""``vaultdb provision``: what it prints, writes and exits with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.fixtures.leasing import Leasing
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import Run
from vaultdb.provision.vault_setup import vault
from vaultdb.provision.vault_spec import CertificateSpec, VaultSpec


@pytest.fixture
def administrator(openbao: OpenBao, settings_file: Path, database: Database) -> Iterator[Path]:
    """Add the administrator's logins to the settings; put the policies back afterwards."""
    with settings_file.open("a") as stream:
        stream.write('[role.admin.vault]\nauth = "token"\n')
        stream.write(f'token = "{openbao.admin_token}"\n')
        stream.write(f'[role.admin.database]\nurl = "{database.admin_url}"\n')
    yield settings_file
    with closing(openbao.client()) as client:
        vault(client, VaultSpec(certificates=CertificateSpec(), tenant_keks=True))


KEYS = ("provision", "vault", "--no-leases", "--no-certificates")


def test_a_plan_exits_with_2_only_when_something_differs(
    administrator: Path, run: Run, openbao: OpenBao
) -> None:
    run(*KEYS)
    planned = run(*KEYS, "--plan")
    assert (planned.code, planned.err) == (0, "")
    assert planned.out.endswith("objects were as wanted\n")
    openbao.admin.write("sys/policies/acl/vaultdb-app", policy='path "x" {}')
    planned = run(*KEYS, "--plan")
    assert planned.code == 2
    assert "would change policy vaultdb-app\n    @@" in planned.out
    assert '    +path "vaultdb-transit/decrypt/vaultdb" {' in planned.out
    done = run(*KEYS, "--json")
    assert done.code == 0
    changed = [step["what"] for step in done.json["steps"] if step["state"] != "same"]
    assert changed == ["policy vaultdb-app"]


def test_postgres_is_set_up_with_generated_passwords(
    administrator: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULTDB_ROLE_PREFIX", "cli_test_")
    command = ("provision", "postgres", "--no-logins", "--no-engine")
    assert run(*command, "--plan").code == 2
    folder = tmp_path / "secrets"
    refused = run("provision", "postgres", "--generate")
    assert refused.failed_with("say where the passwords go with --passwords")
    nowhere = run(*command, "--passwords", str(folder))
    assert nowhere.failed_with(f"--passwords: there is no folder {folder}; correct it, or say")
    planned = run(*command, "--passwords", str(folder), "--generate", "--plan")
    assert (planned.code, folder.exists()) == (2, False)
    assert "would change roles and their privileges\n    CREATE ROLE cli_test_" in planned.out


def test_the_administrators_login_may_be_leased(
    leasing: Leasing, settings_file: Path, run: Run
) -> None:
    lease = leasing.creds_role("app-ro")
    with settings_file.open("a") as stream:
        stream.write('[role.admin.vault]\nauth = "token"\n')
        stream.write(f'token = "{leasing.openbao.admin_token}"\n')
        stream.write(f'[role.admin.database]\nurl = "{leasing.url}"\nlease = "{lease}"\n')
        stream.write(f'sslrootcert = "{leasing.database.postgres.sslrootcert}"\n')
    planned = run("provision", "postgres", "--no-logins", "--no-engine", "--plan")
    assert (planned.code, planned.err) == (0, "")
    assert leasing.leased_users() == []


def test_without_an_administrators_login_nothing_is_tried(settings_file: Path, run: Run) -> None:
    assert run("provision", "postgres").failed_with("set VAULTDB_ADMIN_URL")
    refused = run("provision", "vault", "--no-leases")
    assert refused.failed_with("permission denied")


def test_a_secret_id_goes_into_a_private_file(
    administrator: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "app"
    issued = run("provision", "secret-id", "app", "--out", str(out))
    assert (issued.code, out.stat().st_mode & 0o777) == (0, 0o600)
    assert issued.out.splitlines()[1] == f'wrapped_secret_id_file = "{out}"'
    assert out.read_text().strip() not in issued.out
    nowhere = run("provision", "secret-id", "app", "--out", "/proc/none/file")
    assert nowhere.failed_with("--out: cannot write /proc/none/file")
    assert run("provision", "secret-id", "boss", "--out", str(out)).failed_with("the roles are app")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--lease-ttl", "1 hour"), "--lease-ttl: write a duration as 30s"),
        (("--lease-ttl", "2h", "--lease-max-ttl", "1h"), "--lease-ttl 2h is longer than"),
        (("--intermediate",), "say where the request goes with --request-out"),
        (("--jwt", "app"), "--jwt: write ROLE=SUBJECT"),
        (("--jwt", "boss=x"), "the roles are app"),
        (("--engine-password-file", "/none"), "--engine-password-file: cannot read /none"),
        (("--authority-certificate", "/dev/null"), "the file holds no PEM certificate"),
        (("--database-url", "postgresql:///x"), "--database-url needs a host"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(
    administrator: Path, run: Run, arguments: tuple[str, ...], words: str
) -> None:
    assert run("provision", "vault", *arguments).failed_with(words)


def test_a_policy_is_printed_without_a_connection(run: Run, settings_file: Path) -> None:
    printed = run("provision", "policy", "shredder", "--kek", "tenant-7")
    assert printed.out.startswith('path "vaultdb-transit/keys/tenant-7" {\n')
