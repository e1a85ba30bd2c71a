"""What the user sees of errors, warnings and results."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import sys
import traceback
import unicodedata
from collections.abc import Sequence
from typing import Any, TextIO

from vaultdb.errors import VaultDBError
from vaultdb.logs import KEYS

FAILURE = 1
"""Exit code: the command did not do what was asked; the line on stderr says what to do."""
DIFFERS = 2
"""Exit code of a plan that shows a change, as `terraform plan -detailed-exitcode` has it."""
INTERRUPTED = 130
"""Exit code: Ctrl-C (128 and the number of SIGINT), as a shell has it."""
UNEXPECTED = 70
"""Exit code: a fault of vaultdb itself (EX_SOFTWARE of sysexits.h)."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def report_failure(error: BaseException, *, debug: bool = False) -> int:
    """Print one line about an error on stderr and return the exit code.

    The text of a foreign exception is never shown: it may hold a value, a key or a password.
    """
    error = _known(error)
    if debug:
        frames = traceback.format_tb(error.__traceback__)
        print("".join(frames), end="", file=sys.stderr)
    if isinstance(error, VaultDBError):
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        return FAILURE
    if isinstance(error, BrokenPipeError):
        return FAILURE
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        print(f"error: cannot write what there is to show: {error.strerror}", file=sys.stderr)
        return FAILURE
    hint = "" if debug else "; run again with --debug before the command to see where"
    print(f"error: unexpected {type(error).__name__}{hint}", file=sys.stderr)
    return UNEXPECTED


def _known(error: BaseException) -> BaseException:
    """Translate what a database driver raised, when one is loaded at all."""
    if not isinstance(error, VaultDBError) and "sqlalchemy" in sys.modules:
        import psycopg
        from sqlalchemy.exc import SQLAlchemyError

        from vaultdb.db.failures import translated
        from vaultdb.errors import ConfigurationError

        if isinstance(error, SQLAlchemyError | psycopg.Error):
            known = translated(error, "use the database", ConfigurationError)
            return known.with_traceback(error.__traceback__)
    return error


def show_warning(  # noqa: PLR0917  # the signature of warnings.showwarning
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line on stderr; takes the place of `warnings.showwarning`."""
    del filename, lineno, line
    if not issubclass(category, DeprecationWarning | ResourceWarning):
        print(f"warning: {one_line(str(message))}", file=file or sys.stderr)


class _LogLines(logging.Handler):
    """Prints what is logged as lines on stderr, wherever that leads at the time.

    But not that keys cannot be had: the command fails with the same words, or says that it waits.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == KEYS.name:
            return
        word = "error" if record.levelno >= logging.ERROR else "warning"
        text = record.getMessage()
        if record.exc_info and isinstance(error := record.exc_info[1], VaultDBError):
            text += f": {error}"  # others may hold what nobody shall see
        with contextlib.suppress(OSError, ValueError):  # nobody listens any more
            print(f"{word}: {one_line(text)}", file=sys.stderr, flush=True)


_LOG_LINES = _LogLines(logging.WARNING)


def show_logs(name: str) -> None:
    """Print the warnings and errors of a logger, and of those below it, as lines on stderr.

    Libraries stay silent until somebody asks; for a command nobody else does.
    """
    logging.getLogger(name).addHandler(_LOG_LINES)


def one_line(text: str) -> str:
    """Return the text without line breaks."""
    return " ".join(text.split())


def shown_on_terminal(text: str) -> str:
    """Return the text with control characters written out, such as the start of an escape sequence.

    Line breaks and tabs stay. Characters that turn the direction of writing are written out too.
    """
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cf"}
        else character.encode("unicode_escape").decode()
        for character in text
    )


def print_json(value: Any) -> None:
    """Print a result for another program."""
    print(json.dumps(value, indent=2, default=str))


def plural(count: int, noun: str) -> str:
    """Return "1 key" or "2 keys", with thousands set apart."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def print_table(titles: Sequence[str], rows: Sequence[Sequence[object]], *, nothing: str) -> None:
    """Print rows under titles, or `nothing` when there are none."""
    if not rows:
        print(nothing)
        return
    texts = [titles, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(titles))]
    for row in texts:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
