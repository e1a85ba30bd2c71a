"""`vaultdb names`: the catalogue of logical names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.cli.models import NO_MODELS, load_models
from vaultdb.cli.opening import open_connection
from vaultdb.cli.options import Json, Models, options_of
from vaultdb.cli.report import FAILURE, print_json
from vaultdb.db import catalogue
from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from vaultdb.db.catalogue import Comparison, Name
    from vaultdb.settings import Settings

_DOING = "use the catalogue of names"

app = typer.Typer(
    help="Check and record under which logical name each column is encrypted.",
    no_args_is_help=True,
)


@app.command()
def check(context: typer.Context, model: Models = None, as_json: Json = False) -> None:
    """Compare the models with the catalogue; exit with 1 when they differ. Changes nothing."""
    settings = options_of(context).settings()
    declared = _declared(settings, model)
    with open_connection(settings, _DOING) as connection:
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
def sync(context: typer.Context, model: Models = None) -> None:
    """Record the names of the models, after your own migrations and as the migrator."""
    settings = options_of(context).settings("migrator")
    declared = _declared(settings, model)
    with open_connection(settings, _DOING) as connection, connection.begin():
        found = catalogue.record(connection, declared)
    _print(found)
    print(f"recorded {len(found.new)} new and {len(found.moved)} moved of {len(declared)} names")


@app.command()
def retire(
    context: typer.Context, name: Annotated[str, typer.Argument(help="The logical name.")]
) -> None:
    """Say that a column was dropped for good, so that its name is no longer missed."""
    settings = options_of(context).settings("migrator")
    with open_connection(settings, _DOING) as connection, connection.begin():
        catalogue.retire(connection, name)
    print(f"retired {name}")


def _declared(settings: Settings, model: list[str] | None) -> list[Name]:
    models = load_models(model, settings)
    if not models:
        raise ConfigurationError(NO_MODELS)
    return catalogue.declared_names(models)


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
