"""The command line imports what was asked for, and shows errors without their secrets."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from vaultdb.cli import root
from vaultdb.cli.report import print_json, print_table, report_failure, show_logs, show_warning
from vaultdb.cli.root import _asked_for
from vaultdb.errors import SchemaError


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], ""),
        (["--help"], ""),
        (["keys", "list"], "keys"),
        (["--config", "x.toml", "rotate"], "rotate"),
        (["--config=x.toml", "rotate"], "rotate"),
        (["-p", "test", "-c", "f", "doctor", "--json"], "doctor"),
        (["--debug", "keys"], "keys"),
        (["--config"], ""),
    ],
)
def test_the_command_is_found_among_the_options(arguments: list[str], command: str) -> None:
    assert _asked_for(arguments) == command


def test_our_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_failure(SchemaError("not\nmigrated")) == 1
    assert capsys.readouterr().err == "error: not migrated\n"


def test_what_is_logged_is_shown_from_warnings_on_each_once_as_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = logging.getLogger("vaultdb.some.part")
    show_logs("vaultdb")
    show_logs("vaultdb")
    logger.info("all is well")
    logger.warning("the %s\nwaits", "log")
    logger.error("it is gone")
    for error in (SchemaError("not migrated"), KeyError("hunter2")):
        logger.error("it ended", exc_info=error)
    logging.getLogger("urllib3").warning("not ours")
    logging.getLogger("vaultdb.keys").warning("cannot read the data key")
    assert capsys.readouterr().err == (
        "warning: the log waits\nerror: it is gone\nerror: it ended: not migrated\n"
        "error: it ended\n"
    )


def test_foreign_errors_show_their_kind_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_failure(KeyError("hunter2")) == 70
    assert capsys.readouterr().err.startswith("error: unexpected KeyError; run again with --debug")


def test_a_full_disk_is_no_fault_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_failure(OSError(errno.ENOSPC, "No space left on device")) == 1
    shown = capsys.readouterr().err
    assert shown == "error: cannot write what there is to show: No space left on device\n"


def test_debug_shows_places_and_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    secret = "hunter2"
    try:
        raise KeyError(secret)  # noqa: TRY301  it is the frame of this test that must show
    except KeyError as error:
        report_failure(error, debug=True)
    shown = capsys.readouterr().err
    assert "in test_debug_shows_places_and_no_values" in shown
    assert secret not in shown


def test_the_drivers_errors_are_translated(capsys: pytest.CaptureFixture[str]) -> None:
    import sqlalchemy as sa

    original = psycopg.OperationalError("connection failed: Connection refused")
    error = sa.exc.OperationalError("SELECT 'hunter2'", {"p": "hunter2"}, original)
    assert report_failure(error) == 1
    shown = capsys.readouterr().err
    assert "Connection refused; start the server" in shown
    assert "hunter2" not in shown


def test_warnings_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_warning(UserWarning("beware\nof this"), UserWarning, "file.py", 1)
    show_warning(DeprecationWarning("not the user's"), DeprecationWarning, "file.py", 1)
    assert capsys.readouterr().err == "warning: beware of this\n"


def test_tables_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "n"), [("a", 1), ("longer", 22)], nothing="none")
    assert capsys.readouterr().out == "name    n\na       1\nlonger  22\n"
    print_table(("name",), [], nothing="there are none")
    assert capsys.readouterr().out == "there are none\n"


def test_json_takes_what_results_hold(capsys: pytest.CaptureFixture[str]) -> None:
    from uuid import UUID

    print_json({"realm": UUID(int=1), "keys": (1, 2)})
    assert json.loads(capsys.readouterr().out)["keys"] == [1, 2]


def test_ctrl_c_during_the_imports_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_command: str | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(root, "build", interrupted)
    monkeypatch.setattr("warnings.showwarning", None)
    with pytest.raises(SystemExit) as exit_:
        root.main()
    assert (exit_.value.code, capsys.readouterr().err) == (130, "Aborted.\n")


def test_a_terminal_that_knows_only_ascii_still_shows_where_the_trouble_is(tmp_path: Path) -> None:
    folder = tmp_path / "données"
    program = "from vaultdb.cli import main; main()"
    command = [sys.executable, "-c", program, "dev", "status", "--state", str(folder)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert "donn\\xe9es" in done.stdout + done.stderr
