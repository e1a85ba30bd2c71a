"""`vaultdb dev`: a private OpenBao and PostgreSQL for trying out."""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vaultdb.cli.asking import confirm
from vaultdb.cli.options import Json, Yes
from vaultdb.cli.report import FAILURE, print_json, print_table
from vaultdb.dev.stack import DevStack, ServerStatus
from vaultdb.dev.state import default_folder

app = typer.Typer(
    help="Run a private OpenBao and PostgreSQL, with TLS, for trying out and for tests.",
    no_args_is_help=True,
)

State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="State folder [env: VAULTDB_DEV_STATE; default: .vaultdb in the project].",
    ),
]


def _stack(state: Path | None) -> DevStack:
    return DevStack(state.expanduser() if state else default_folder())


@app.command()
def up(state: State = None) -> None:
    """Start both servers; set them up at the first time."""
    stack = _stack(state)
    console = Console(stderr=True)
    started = time.monotonic()
    with console.status("starting openbao and postgresql"):
        stack.up()
    print(f"openbao and postgresql are ready ({time.monotonic() - started:.1f} s)")
    print(f"settings: {stack.folder.settings}")
    print(f'use them: eval "$(vaultdb dev env{_option(state)})"')


@app.command()
def down(state: State = None) -> None:
    """Stop both servers; their data stays."""
    stack = _stack(state)
    if stack.down():
        print(f"stopped, the data stays in {stack.folder.root}")
    else:
        print(f"no dev stack in {stack.folder.root}: nothing to stop")


@app.command()
def status(state: State = None, as_json: Json = False) -> None:
    """Show whether both servers answer; exit with 1 when one does not."""
    stack = _stack(state)
    found = stack.status()
    if as_json:
        servers = {server.name: asdict(server) for server in found}
        print_json({"state": str(stack.folder.root), "servers": servers})
    elif found:
        rows = [(s.name, s.address, s.pid or "", _word(s)) for s in found]
        print_table(("server", "address", "pid", "state"), rows, nothing="")
    else:
        print(f"no dev stack in {stack.folder.root}: run vaultdb dev up")
    if not found or not all(server.ready for server in found):
        raise typer.Exit(FAILURE)


@app.command()
def env(state: State = None) -> None:
    """Print the exports that make the other commands use this stack."""
    print(_stack(state).exports(), end="")


@app.command()
def reset(state: State = None, yes: Yes = False) -> None:
    """Stop both servers and delete everything they hold, keys included."""
    stack = _stack(state)
    if not stack.exists():
        print(f"no dev stack in {stack.folder.root}: nothing to delete")
        return
    if not yes:
        confirm(f"delete every key and every row in {stack.folder.root}?")
    stack.reset()
    print(f"deleted the dev stack in {stack.folder.root}")


def _option(state: Path | None) -> str:
    """Return `--state` as it must be given again; nothing when it was not given."""
    return f" --state {shlex.quote(str(state.expanduser().absolute()))}" if state else ""


def _word(server: ServerStatus) -> str:
    return "ready" if server.ready else "not answering" if server.pid else "stopped"
