"""`vaultdb audit export`: copies of the log for other programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from vaultdb.cli.audit_query import Since, Until
from vaultdb.cli.options import options_of
from vaultdb.cli.report import plural
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.export import ocsf_lines, raw_lines
from vaultdb.jobs.audit.export_otel import emit_entries
from vaultdb.jobs.audit.query import open_log
from vaultdb.jobs.audit.query_filter import Filter
from vaultdb.jobs.audit.query_times import parse_time


class Format(Enum):
    """What is exported."""

    JSONL = "jsonl"
    OCSF = "ocsf"
    OTEL = "otel"


def add_to(app: typer.Typer) -> None:
    """Add the command to `vaultdb audit`."""
    app.command("export")(export)


def export(
    context: typer.Context,
    format_: Annotated[
        Format, typer.Option("--format", help="jsonl is exactly what was authenticated.")
    ] = Format.JSONL,
    since: Since = None,
    until: Until = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A new file; default: stdout."),
    ] = None,
) -> None:
    """Copy events of a span of time, the oldest first.

    otel sends log records to the logger provider that the OpenTelemetry environment configures.
    """
    wanted = Filter(
        since=None if since is None else parse_time(since, "--since"),
        until=None if until is None else parse_time(until, "--until"),
    )
    if format_ is Format.OTEL and output is not None:
        raise ConfigurationError("--output is for jsonl and ocsf; otel goes to a logger provider")
    settings = options_of(context).settings("auditor")
    with open_log(settings) as log:
        log.note("export", {**wanted.said(), "format": format_.value})
        if format_ is Format.OTEL:
            count = emit_entries(log.entries(wanted, oldest_first=True), str(settings.realm))
        else:
            if format_ is Format.JSONL:
                lines = raw_lines(log.records(wanted.since, wanted.until, oldest_first=True))
            else:
                lines = ocsf_lines(log.entries(wanted, oldest_first=True), str(settings.realm))
            with _opened(output) as stream:
                count = _write(lines, stream)
    print(f"exported {plural(count, 'event')}", file=sys.stderr)


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path} exists already; name a new file") from None
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        yield stream


def _write(lines: Iterable[str], stream: TextIO) -> int:
    count = 0
    for line in lines:
        stream.write(line + "\n")
        count += 1
    return count
