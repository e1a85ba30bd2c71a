"""Ask on the terminal: questions go to stderr, so that stdout stays for results."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout

import typer

from vaultdb.errors import ConfigurationError


def confirm(question: str) -> None:
    """Go on only if the answer is yes.

    Raises:
        ConfigurationError: nobody is there to answer.
        typer.Abort: the answer is no.

    """
    try:
        with redirect_stdout(sys.stderr):
            typer.confirm(question, abort=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        print(file=sys.stderr)  # the question stands there without an answer
        raise ConfigurationError(
            "not confirmed, so nothing was done; say --yes to go on without being asked"
        ) from None


def ask(what: str, *, option: str) -> str:
    """Return the answer to a question that `option` would have answered.

    Raises:
        ConfigurationError: nobody is there to answer.

    """
    try:
        with redirect_stdout(sys.stderr):
            return str(typer.prompt(what))
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        print(file=sys.stderr)
        raise ConfigurationError(f"there is no {what}: give it with {option}") from None
