"""Questions go to stderr, and without anybody to answer them nothing is done."""

from __future__ import annotations

import io

import pytest
import typer

from vaultdb.cli.asking import ask, confirm
from vaultdb.errors import ConfigurationError


def answered(monkeypatch: pytest.MonkeyPatch, text: str, *, terminal: bool = False) -> None:
    stream = io.StringIO(text)
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stdin", stream)


def test_the_question_does_not_reach_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answered(monkeypatch, "ticket 7\ny\n")
    assert ask("reason", option="--reason") == "ticket 7"
    confirm("go on?")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "reason: go on? [y/N]: ")


def test_without_anybody_to_answer_the_error_names_the_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered(monkeypatch, "")
    with pytest.raises(ConfigurationError, match="nothing was done; say --yes"):
        confirm("go on?")
    with pytest.raises(ConfigurationError, match="give it with --reason"):
        ask("reason", option="--reason")


def test_a_no_on_a_terminal_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, "n\n", terminal=True)
    with pytest.raises(typer.Abort):
        confirm("go on?")
