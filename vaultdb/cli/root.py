"""`vaultdb`: the options of every command, the list of commands, and how errors are shown.

Only the module of the command that was asked for is imported, so that `vaultdb --help` does not
wait for SQLAlchemy and hvac; the others are listed by name.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import io
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from vaultdb.cli.options import Options
from vaultdb.cli.report import INTERRUPTED, report_failure, show_logs, show_warning

_WITH_VALUE = frozenset({"--config", "-c", "--profile", "-p"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """One command, or one group of commands, in `vaultdb.cli.MODULE`."""

    name: str
    help: str
    is_group: bool = False


_ENTRIES = (
    _Entry("dev", "Run a private OpenBao and PostgreSQL for trying out.", is_group=True),
    _Entry("demo", "Show the main job, end to end, on private servers."),
    _Entry("doctor", "Check settings, Vault, database and keys; say what to do."),
    _Entry("provision", "Set a Vault and a PostgreSQL up, as administrators.", is_group=True),
    _Entry("roles", "Plan, apply and verify roles and privileges.", is_group=True),
    _Entry("migrate", "Create and change vaultdb's schema and yours.", is_group=True),
    _Entry("names", "Check and record the logical names of encrypted columns.", is_group=True),
    _Entry("keys", "List, create and verify data keys.", is_group=True),
    _Entry("rotate", "Rotate the KEK and the data keys, and re-encrypt the rows."),
    _Entry("rebind", "Move values to another primary key, tenant or realm."),
    _Entry("jobs", "Look at jobs, pause, resume and cancel them.", is_group=True),
    _Entry("adopt", "Encrypt a column that holds plaintext.", is_group=True),
    _Entry("audit", "Verify and read the audit log, and sign its checkpoints.", is_group=True),
    _Entry("decrypt", "Show one encrypted value, for support, with a reason."),
)


def main() -> None:
    """Run the command line: one line on stderr and a non-zero exit for every failure."""
    warnings.showwarning = show_warning
    show_logs("vaultdb")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an ASCII terminal still gets a readable path
            stream.reconfigure(errors="backslashreplace")
    arguments = sys.argv[1:]
    try:
        build(None if "_VAULTDB_COMPLETE" in os.environ else _asked_for(arguments))()
    except KeyboardInterrupt:  # typer handles it too, but not yet while a command is imported
        print("Aborted.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001  # no traceback may reach the user: it could leak
        sys.exit(report_failure(error, debug="--debug" in arguments))


def build(command: str | None) -> typer.Typer:
    """Return the application with the module of one command imported, or of all for None."""
    app = typer.Typer(
        name="vaultdb",
        help="Encryption at rest for SQLAlchemy and PostgreSQL, with keys that stay in Vault.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for entry in _ENTRIES:
        if importlib.util.find_spec(f"vaultdb.cli.{entry.name}") is not None:
            _add(app, entry, is_asked_for=command in (None, entry.name))
    return app


def _add(app: typer.Typer, entry: _Entry, *, is_asked_for: bool) -> None:
    module: Any = importlib.import_module(f"vaultdb.cli.{entry.name}") if is_asked_for else None
    if entry.is_group:
        app.add_typer(module.app if module else typer.Typer(), name=entry.name, help=entry.help)
    else:
        app.command(entry.name, help=None if module else entry.help)(
            module.command if module else _listed
        )


def _listed() -> None:
    """Stand for a command whose module was not imported."""


def _asked_for(arguments: Sequence[str]) -> str | None:
    """Return the command among the arguments; an empty string when there is none."""
    skip = False
    for argument in arguments:
        if skip or argument.startswith("-"):
            skip = not skip and argument in _WITH_VALUE
        else:
            return argument
    return ""


def _print_version(asked: bool) -> None:
    if asked:
        print(importlib.metadata.version("vaultdb-sqlalchemy"))
        raise typer.Exit


def _root(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="Settings file.  \\[env: VAULTDB_CONFIG]"
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", "-p", metavar="NAME", help="Profile in it.  \\[env: VAULTDB_PROFILE]"
        ),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error came from, without values.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    del version  # acted upon by its callback
    context.obj = Options(config, profile, debug)
