"""`vaultdb decrypt`: one value, for support, with a reason."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from vaultdb.cli.models import load_metadata
from vaultdb.cli.opening import open_keyring
from vaultdb.cli.options import Json, options_of
from vaultdb.cli.report import print_json
from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.errors import ConfigurationError
from vaultdb.guard.principal import acting_as
from vaultdb.jobs.decrypt import Cell, decrypt_cell


def command(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    table: Annotated[str, typer.Argument(help="Table, with its schema when it has one.")],
    column: Annotated[str, typer.Argument(help="Encrypted column.")],
    key: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Primary key.")],
    reason: Annotated[
        str, typer.Option("--reason", prompt="reason", help="Why, such as a ticket's number.")
    ],
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Tenant; default: the one of the settings.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODULE:NAME", help="Declarative base or MetaData."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print one encrypted value in the clear, with the application's login and keys."""
    if not reason.strip():
        raise ConfigurationError("give a reason, such as the number of a ticket: --reason")
    settings = options_of(context).settings()
    cell = Cell(table, column, _key(key))
    owner = settings.tenant if tenant is None else tenant
    metadata = load_metadata(model) if model else None
    user = getpass.getuser()
    engine = new_engine(settings.database)
    failures = plain_failures("read the value", unavailable=ConfigurationError)
    with (
        open_keyring(settings) as keyring,
        acting_as(user, tenant=owner, purpose=reason),
        failures,
        engine.connect() as connection,
    ):
        value = decrypt_cell(connection, keyring, cell, tenant=owner, metadata=metadata)
    print(f"{cell}, read by {user}: {reason}", file=sys.stderr)
    if as_json:
        print_json({"table": table, "column": column, "key": cell.key, "value": value})
    else:
        print("NULL" if value is None else value)


def _key(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(separator and name for name, separator, _ in pairs):
        raise ConfigurationError("write the primary key as COLUMN=VALUE, such as id=42")
    return {name: value for name, _, value in pairs}
