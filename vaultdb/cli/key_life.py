"""`vaultdb keys usage`, `retire` and `promote`: who needs a key, and the end of those unneeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from vaultdb.cli.models import load_models
from vaultdb.cli.opening import key_store, open_connection
from vaultdb.cli.options import Json, Models, options_of
from vaultdb.cli.report import FAILURE, print_json
from vaultdb.cli.usage_output import as_json as usage_as_json
from vaultdb.cli.usage_output import print_usage
from vaultdb.jobs.rotation.usage import usage as count

if TYPE_CHECKING:
    from vaultdb.jobs.rotation.usage import Usage

COUNTING = "count the rows under each key"


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group `keys`."""
    app.command()(usage)


def usage(context: typer.Context, model: Models = None, as_json: Json = False) -> None:
    """Count the rows under each data key, per column, without decrypting; scans every table.

    Columns of encrypted values that no model declares are counted, too. Exit code 1 when a value
    names a key that the key table does not have, or a column could not be counted.
    """
    settings = options_of(context).settings("rotator")
    models = load_models(model, settings)
    with key_store(settings) as store:
        keys = store.all(settings.realm)
    with open_connection(settings, COUNTING) as connection:
        found = count(connection, models, keys)
    if as_json:
        print_json(usage_as_json(found))
    else:
        print_usage(found)
    _fail_unless_sound(found)


def _fail_unless_sound(found: Usage) -> None:
    if found.has_unknown or not found.is_complete:
        raise typer.Exit(FAILURE)
