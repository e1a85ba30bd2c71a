"""`vaultdb keys usage`, `retire` and `promote`: who needs a key, and the end of those unneeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.audit.kinds import KEY_RESTRICTED
from vaultdb.cli.asking import confirm
from vaultdb.cli.job_tools import JobTools
from vaultdb.cli.models import NO_MODELS, load_models
from vaultdb.cli.opening import key_store, open_connection
from vaultdb.cli.options import Json, Models, Yes, options_of
from vaultdb.cli.report import FAILURE, plural, print_json
from vaultdb.cli.retire_output import print_verdicts, verdicts_as_json
from vaultdb.cli.rotate_output import Teller
from vaultdb.cli.usage_output import as_json as usage_as_json
from vaultdb.cli.usage_output import print_usage
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.recording import recorded
from vaultdb.jobs.rotation.logins import Logins
from vaultdb.jobs.rotation.retire import GRACE, Retirement
from vaultdb.jobs.rotation.run import How, RowRotation
from vaultdb.jobs.rotation.selection import Selection
from vaultdb.jobs.rotation.usage import usage as count

if TYPE_CHECKING:
    from vaultdb.jobs.rotation.usage import Usage
    from vaultdb.keys.wrapped_key import WrappedKey

COUNTING = "count the rows under each key"


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group `keys`."""
    for command in (usage, retire, promote):
        app.command()(command)


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


def retire(  # noqa: PLR0917  # typer passes them by name
    context: typer.Context,
    key: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY_ID]...", help="Only these; default: all.")
    ] = None,
    model: Models = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    keyset: Annotated[str | None, typer.Option("--keyset", help="Only this keyset's.")] = None,
    grace: Annotated[
        float, typer.Option("--grace", metavar="DAYS", min=0, help="Days between the two steps.")
    ] = GRACE / 86_400,
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan and stop.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Retire keys that nothing needs: decrypt_only becomes disabled, and later destroyed.

    A key stays while a row, a blind index or a backup that may still exist needs it. Exit code 1
    when a key that was named stays.
    """
    options = options_of(context)
    settings = options.settings("rotator")
    retirement = Retirement(
        Logins(options.settings),
        load_models(model, settings),
        Selection(tenant, keyset),
        ttl=settings.keyring.hard_ttl,
        grace=grace * 86_400,
    )
    verdicts = retirement.judge([_key_id(text) for text in key or ()])
    if not as_json:
        print_verdicts(verdicts)
    done: list[WrappedKey] = []
    if not plan and any(each.step for each in verdicts):
        if not yes:
            confirm("go on?")
        with recorded(settings, "keys retire") as record:
            done = retirement.carry_out(verdicts)
            for each in done:
                record(KEY_RESTRICTED, key_ids=[each.key_id.hex()], state=str(each.state))
    if as_json:
        print_json(verdicts_as_json(verdicts, done))
    elif done:
        print(f"retired {plural(len(done), 'key')}")
    if key and not plan and len(done) < len(verdicts):
        raise typer.Exit(FAILURE)


def promote(
    context: typer.Context,
    model: Models = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    keyset: Annotated[str | None, typer.Option("--keyset", help="Only this keyset's.")] = None,
    as_json: Json = False,
) -> None:
    """Let incoming index keys fill the column that is searched; `vaultdb rotate` does it, too.

    Refused while a process may not know the key, or a second index column is not complete.
    """
    options = options_of(context)
    settings = options.settings("rotator")
    models = load_models(model, settings)
    if not models:
        raise ConfigurationError(NO_MODELS)
    rotation = RowRotation(
        Logins(options.settings),
        models,
        Selection(tenant, keyset),
        How(ttl=settings.keyring.hard_ttl),
        tools_of=lambda table: JobTools(options, tuple(model or ())).of(table.fullname),
        told=Teller(hidden=True),
    )
    with recorded(settings, "keys promote") as record:
        promoted = rotation.promote()
        if promoted:
            ids = [key.key_id.hex() for key in promoted]
            record(KEY_RESTRICTED, key_ids=ids, state="active")
    if as_json:
        print_json([key.key_id.hex() for key in promoted])
    else:
        print(f"promoted {plural(len(promoted), 'index key')}")


def _key_id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ConfigurationError(
            "write a key id as vaultdb keys list shows it: 32 hexadecimal digits"
        ) from None


def _fail_unless_sound(found: Usage) -> None:
    if found.has_unknown or not found.is_complete:
        raise typer.Exit(FAILURE)
