"""`vaultdb audit query | report | tail | export` on a log that the application wrote."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.audit.asking import write_day
from tests.integration.audit.commands import Commands, new_commands
from tests.integration.audit.conftest import Audited


@pytest.fixture
def commands(  # noqa: PLR0917
    tmp_path: Path,
    database: Database,
    openbao: OpenBao,
    audited: Audited,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Commands:
    write_day(audited())
    return new_commands(tmp_path, database, openbao, monkeypatch, capsys)


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_query_prints_json_lines_csv_and_a_table(commands: Commands) -> None:
    ran = commands.run("query", "--principal", "dr-jones", "--json")
    assert ran.code == 0, ran.err
    assert [each["event"] for each in lines(ran.out)] == ["data.read", "data.read"]
    rows = list(csv.DictReader(io.StringIO(commands.run("query", "--format", "csv").out)))
    assert "7 8" in [row["keys"] for row in rows]
    assert "dr-jones" in commands.run("query").out
    asked = lines(commands.run("query", "--event", "audit.queried", "--json").out)
    assert len(asked) == 4


def test_reports_answer_the_auditors_questions(commands: Commands) -> None:
    def report(*arguments: str) -> list[dict[str, object]]:
        ran = commands.run("report", *arguments, "--json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out)  # type: ignore[no-any-return]

    patient = report("who-read", "--table", "patient", "--key", "7")
    assert [(each["principal"], each["perhaps"]) for each in patient] == [
        ("dr-jones", 0),
        ("billing", 1),
    ]
    assert {
        each["table"]: each["rows"] for each in report("what-read", "--principal", "dr-jones")
    } == {
        "patient": 2,
        "clinic.visit": 1,
    }
    assert report("what-read", "--principal", "dr-jones", "--month", "2001-03") == []
    assert report("top")[0]["principal"] == "billing"
    assert lines(commands.run("report", "top", "--format", "jsonl").out) == report("top")
    denied = lines(commands.run("report", "denied", "--json").out)
    assert [each["event"] for each in denied] == ["data.denied"]


def test_export_gives_what_was_authenticated_and_ocsf(commands: Commands, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    ran = commands.run("export", "--output", str(path))
    assert ran.code == 0, ran.err
    assert all(
        {"chain", "seq", "at", "body", "mac"} == set(each) for each in lines(path.read_text())
    )
    assert path.stat().st_mode & 0o777 == 0o600
    assert commands.run("export", "--output", str(path)).code == 1
    ran = commands.run("export", "--format", "ocsf", "--since", "1h")
    assert ran.code == 0, ran.err
    events = lines(ran.out)
    reads = [each for each in events if each["type_uid"] == 600501]
    assert len(reads) == 3


def test_tail_shows_the_last_events(commands: Commands) -> None:
    ran = commands.run("tail", "-n", "50")
    assert ran.code == 0, ran.err
    assert "data.denied" in ran.out


def test_a_key_without_its_table_and_a_strange_time_are_refused(commands: Commands) -> None:
    assert "--key needs --table" in commands.run("query", "--key", "7").err
    assert "--since is a time" in commands.run("query", "--since", "yesterday-ish").err
