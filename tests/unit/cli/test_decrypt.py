"""What `vaultdb decrypt` shows besides the value, and what it keeps from a terminal."""

from __future__ import annotations

import os
import sys

import pytest

from vaultdb.cli.decrypt import _print, _user
from vaultdb.cli.report import shown_on_terminal


def test_a_value_cannot_steer_a_terminal(monkeypatch, capsys):
    """Whoever wrote the value may have meant it for the person who reads it."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    _print("Ada\x1b]0;title\x07\x9b2J\u202etxt.exe\nline\ttwo é")
    assert capsys.readouterr().out == (
        r"Ada\x1b]0;title\x07\x9b2J\u202etxt.exe" + "\nline\ttwo é\n"
    )


def test_a_pipe_gets_the_value_as_it_is(capsys):
    _print("a\x1bb")
    assert capsys.readouterr().out == "a\x1bb\n"
    assert shown_on_terminal("plain text, é, 漢字") == "plain text, é, 漢字"


@pytest.mark.skipif(os.name != "posix", reason="accounts have other names there")
def test_the_account_is_not_taken_from_the_environment(monkeypatch):
    import pwd

    monkeypatch.setenv("LOGNAME", "the-boss")
    monkeypatch.setenv("USER", "the-boss")
    assert _user() == pwd.getpwuid(os.getuid()).pw_name
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert _user() == "uid 54321"
