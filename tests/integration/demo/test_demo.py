"""`vaultdb demo` as somebody runs it: its report, its complaints, and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vaultdb.dev.temporary import temporary_stack

VAULTDB = str(Path(sys.executable).parent / "vaultdb")
SYNTHEA = Path(os.environ.get("VAULTDB_SYNTHEA", "patients.csv"))


class Terminal:
    """Runs the command where everything temporary lands in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"TMPDIR": str(folder)}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [VAULTDB, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # a shell's background job ignores Ctrl-C, and its children would too
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def servers(self) -> list[str]:
        """Return the command lines of running servers whose files lie in the folder."""
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{self.folder}/vaultdb-" in line:
                found.append(line)
        return found

    def leftovers(self) -> list[object]:
        return [*self.servers(), *self.folder.glob("vaultdb-*")]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    folder.chmod(0o711)
    yield Terminal(folder)
    shutil.rmtree(folder)


def test_the_demo_does_all_that_it_promises_and_cleans_up(terminal: Terminal) -> None:
    code, output, errors = terminal.run("demo", "--json")

    assert code == 0, errors
    assert "warning" not in errors
    report = json.loads(output)
    assert report["patients"] == 1000
    results = {step["name"]: step["result"] for step in report["steps"]}
    assert results["migrate (migrator)"] == "24 encrypted columns"
    assert results["look at the same row with psql"].startswith(r"ssn = \xf601")
    assert results["search a stolen dump"].startswith("0 of 9,")
    assert results["exchange two ciphertexts"] == "refused: DecryptionError"
    assert results["exchange two index values"] == "refused: DecryptionError"
    assert results["rotate the KEK (rotator)"] == "KEK version 2, 2 keys rewrapped"
    assert results["read everything back"] == "1,000 patients, all as loaded"
    assert results["lease a login (application)"].startswith("v_vaultdb_app_rw_")
    assert results["decrypt as the migrator"] == "refused by Vault: KeyDenied"
    assert results["change the table as the app"] == "refused by PostgreSQL"
    assert results["verify every privilege"].startswith("no drift in ")
    assert results["make two mistakes (superuser)"] == "verify names both"
    assert results["repair them (roles apply)"] == "2 statements, no drift"
    assert results["revoke the app's lease"] == "session cut, next login works"
    check_privileges(report)
    check_rotation(report, results)
    check_audit(report, results)
    assert terminal.leftovers() == []


def check_privileges(report: dict[str, Any]) -> None:
    may = {
        row["login"]: {k for k, v in row.items() if v[:3] in {"yes", "col"}}
        for row in report["matrix"]
    }
    assert may["vaultdb_app"] == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert may["vaultdb_key_officer"] == set()
    assert may["vaultdb_key_rotator"] == {"SELECT", "UPDATE"}
    assert "OWNER" in may["vaultdb_migrator"]
    assert [login for login in may if login.startswith("v_")] != []
    assert [drift["remedy"] for drift in report["drifts"]] == [
        'REVOKE SELECT ON TABLE "public"."patient" FROM PUBLIC',
        "REVOKE vaultdb_owner FROM vaultdb_app",
    ]


def check_rotation(report: dict[str, Any], results: dict[str, str]) -> None:
    rotation = report["rotation"]
    assert [step["name"] for step in report["steps"]][-9:-5] == [
        "rotate the rows, under a writer",
        "count the writes meanwhile",
        "retire the old data key",
        "read everything back",
    ]
    assert rotation["writes"] > 0
    assert rotation["values"] > 15_000
    assert (rotation["lost"], rotation["under_old_key"]) == (0, 0)
    assert rotation["old_key"] == "disabled"
    # what the application wrote with the new key itself was not in need of it
    assert 1000 - rotation["writes"] <= rotation["reencrypted"] <= 1000 + rotation["writes"]
    assert results["count the writes meanwhile"].endswith(", of which 0 were lost")
    assert results["retire the old data key"].endswith(" values, disabled")


def check_audit(report: dict[str, Any], results: dict[str, str]) -> None:
    assert results["look at a patient as Dr Jones"] == "recorded before it was shown"
    assert results["verify the audit log (auditor)"].endswith(" records, all as written")
    assert results["change a record (superuser)"].startswith("verify names it: changed, seq ")
    assert results["delete another one"].startswith("verify names it: missing, seq ")
    changed, missing = report["audit"]
    assert "data.read" in changed
    assert "not what its process wrote" in changed
    assert "gone" in missing


@pytest.mark.skipif(not SYNTHEA.exists(), reason="VAULTDB_SYNTHEA names no patients.csv of Synthea")
def test_the_demo_takes_patients_of_synthea_and_prints_a_table(terminal: Terminal) -> None:
    code, output, errors = terminal.run("demo", "--csv", str(SYNTHEA))

    assert code == 0, errors
    assert "27 patients, all as loaded" in output
    assert output.endswith("the servers are stopped, and what they stored is deleted\n")
    assert all(len(line) <= 80 for line in output.splitlines())


def test_keep_leaves_servers_and_says_how_to_reach_and_delete_them(
    terminal: Terminal, tmp_path: Path
) -> None:
    code, output, errors = terminal.run("demo", "--keep")
    assert code == 0, errors
    commands = dict(line.split(":", 1) for line in output.splitlines()[-2:])

    try:
        status = subprocess.run(
            [
                "bash",
                "-c",
                f"{commands['use them']} && vaultdb keys list --json",
            ],
            env=terminal.environment
            | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert [key["purpose"] for key in json.loads(status.stdout)] == ["data", "data", "index"]
    finally:
        deleted = terminal.run(*commands["delete them"].split()[1:])

    assert deleted[0] == 0
    assert terminal.servers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_nothing(terminal: Terminal, number: signal.Signals) -> None:
    process = terminal.start("demo")
    deadline = time.monotonic() + 60
    while len(terminal.servers()) < 2 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)

    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert terminal.leftovers() == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot read {file}: No such file or directory"),
        (b"Id,FIRST\n", "{file} line 1: no column BIRTHDATE, "),
        (b"\xff", "{file} line 1: not UTF-8; save the file as UTF-8"),
    ],
)
def test_a_bad_file_is_one_line_and_starts_nothing(
    terminal: Terminal, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "patients.csv"
    if content is not None:
        file.write_bytes(content)

    code, output, errors = terminal.run("demo", "--csv", str(file))

    assert (code, output) == (1, "")
    assert errors.startswith("error: " + complaint.format(file=file))
    assert errors.count("\n") == 1
    assert terminal.leftovers() == []


def test_servers_that_were_to_be_kept_go_when_something_fails(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(terminal.folder))

    def fail_with_running_servers() -> None:
        with temporary_stack(keep=True):
            assert len(terminal.servers()) >= 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_with_running_servers()

    assert terminal.leftovers() == []
