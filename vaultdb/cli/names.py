"""`vaultdb names`: the catalogue of logical names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.cli.models import load_metadata
from vaultdb.cli.options import Json, options_of
from vaultdb.cli.report import FAILURE, print_json
from vaultdb.db import catalogue
from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.db.catalogue import Comparison
    from vaultdb.settings.model import Role

app = typer.Typer(
    help="Check and record under which logical name each column is encrypted.",
    no_args_is_help=True,
)

Models = Annotated[
    list[str],
    typer.Option(
        "--model", "-m", metavar="MODULE:NAME", help="Declarative base or MetaData; repeatable."
    ),
]


@app.command()
def check(context: typer.Context, model: Models, as_json: Json = False) -> None:
    """Compare the models with the catalogue; exit with 1 when they differ. Changes nothing."""
    declared = catalogue.declared_names(load_metadata(name) for name in model)
    with _connection(context, None) as connection:
        found = catalogue.compare(connection, declared)
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
        for problem in found.problems():
            print(f"problem: {problem}")
        if found.is_clean:
            print("all names are recorded")
    if not found.is_clean:
        raise typer.Exit(FAILURE)


@app.command()
def sync(context: typer.Context, model: Models) -> None:
    """Record the names of the models, after your own migrations and as the migrator."""
    declared = catalogue.declared_names(load_metadata(name) for name in model)
    with _connection(context, "migrator") as connection:
        found = catalogue.record(connection, declared)
    _print(found)
    print(f"recorded {len(found.new)} new and {len(found.moved)} moved of {len(declared)} names")


@app.command()
def retire(
    context: typer.Context, name: Annotated[str, typer.Argument(help="The logical name.")]
) -> None:
    """Say that a column was dropped for good, so that its name is no longer missed."""
    with _connection(context, "migrator") as connection:
        catalogue.retire(connection, name)
    print(f"retired {name}")


@contextmanager
def _connection(context: typer.Context, role: Role | None) -> Iterator[Connection]:
    engine = new_engine(options_of(context).settings(role))
    failures = plain_failures("use the catalogue of names", unavailable=ConfigurationError)
    with failures, engine.begin() as connection:
        yield connection


def _print(found: Comparison) -> None:
    for name in found.new:
        print(f"new {name.name} ({name.place}, {name.type_tag})")
    for name in found.moved:
        print(f"moved {name.name} to {name.place}")
    for name in found.orphans:
        print(f"without a column: {name.name} (was {name.place})")


def _as_json(found: Comparison) -> dict[str, object]:
    return {
        "clean": found.is_clean,
        "new": [name.name for name in found.new],
        "moved": [name.name for name in found.moved],
        "orphans": [name.name for name in found.orphans],
        "retyped": [name.name for name in found.retyped],
        "missing": [name.name for name in found.missing],
        "problems": found.problems(),
    }
