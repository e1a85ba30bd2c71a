"""`vaultdb audit`: the log of who saw what, its checkpoints, and the proof that it is whole."""

from __future__ import annotations

import importlib
import importlib.util

import typer

app = typer.Typer(
    help="Verify and read the audit log, and sign its checkpoints.", no_args_is_help=True
)

MODULES = ("tail", "query", "verify", "export", "report", "checkpoint", "keys", "drop")
"""Modules `audit_NAME` beside this one; each adds its commands with `add_to(app)`."""

for _name in MODULES:
    _module = f"vaultdb.cli.audit_{_name}"
    if importlib.util.find_spec(_module) is not None:
        importlib.import_module(_module).add_to(app)
