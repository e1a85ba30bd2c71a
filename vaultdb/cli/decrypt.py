"""`vaultdb decrypt`: one value, for support, with a reason."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from vaultdb.cli.asking import ask
from vaultdb.cli.models import load_metadata
from vaultdb.cli.opening import open_connection, open_keyring
from vaultdb.cli.options import Json, options_of
from vaultdb.cli.report import one_line, print_json, shown_on_terminal
from vaultdb.errors import ConfigurationError
from vaultdb.guard.principal import acting_as
from vaultdb.jobs.decrypt import Cell, decrypt_cell
from vaultdb.jobs.recording import recorded_read


def command(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="Table, with its schema when it has one.")
    ],
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="Encrypted column.")],
    key: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Primary key.")],
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Why, such as a ticket's number; default: ask."),
    ] = None,
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
    reason = ask("reason", option="--reason") if reason is None else reason
    if not reason.strip():
        raise ConfigurationError("give a reason, such as the number of a ticket: --reason")
    settings = options_of(context).settings()
    cell = Cell(table, column, _key(key))
    owner = settings.tenant if tenant is None else tenant
    metadata = load_metadata(model) if model else None
    user = _user()
    with (
        acting_as(user, tenant=owner, purpose=reason) as acting,
        recorded_read(settings, acting, table, column, cell.key),
        open_keyring(settings) as keyring,
        open_connection(settings, "read the value") as connection,
    ):
        value = decrypt_cell(connection, keyring, cell, tenant=owner, metadata=metadata)
    print(one_line(f"{cell}, read by {user}: {reason}"), file=sys.stderr)
    if as_json:
        print_json({"table": table, "column": column, "key": cell.key, "value": value})
    else:
        _print(value)


def _print(value: Any) -> None:
    """Print the value; for a terminal without what would steer it: users wrote the value."""
    text = "NULL" if value is None else str(value)
    print(shown_on_terminal(text) if sys.stdout.isatty() else text)


def _user() -> str:
    """Return the account that runs this; `getpass.getuser` would believe LOGNAME."""
    if os.name != "posix":
        return os.getlogin()
    import pwd

    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:  # a container runs it under a number only
        return f"uid {number}"


def _key(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if not all(separator and name for name, separator, _ in pairs):
        raise ConfigurationError("write the primary key as COLUMN=VALUE, such as id=42")
    return {name: value for name, _, value in pairs}
