"""`vaultdb migrate`: vaultdb's own schema, by a login of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.cli.asking import confirm
from vaultdb.cli.options import Json, Yes, options_of
from vaultdb.cli.report import FAILURE, plural, print_json
from vaultdb.alembic import own as migrations
from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from vaultdb.settings import Settings

app = typer.Typer(
    help="Create and change vaultdb's own schema, by the login of VAULTDB_MIGRATE_URL.",
    no_args_is_help=True,
)


def _migrator(context: typer.Context) -> tuple[Settings, Engine]:
    """Return settings and engine of the migrator; there is no way to fall back to the app's."""
    settings = options_of(context).settings("migrator")
    if settings.database.url is None:
        raise ConfigurationError(
            "migrations need a login of their own: set VAULTDB_MIGRATE_URL, or migrate_url in"
            " [database] of vaultdb.toml"
        )
    return settings, new_engine(settings.database)


@app.command()
def up(
    context: typer.Context,
    revision: Annotated[str, typer.Option("--to", metavar="REVISION", help="Stop here.")] = "head",
) -> None:
    """Bring the schema up to date, record the realm, grant to the capability roles."""
    settings, engine = _migrator(context)
    with plain_failures("migrate", unavailable=ConfigurationError):
        done = migrations.upgrade(engine, realm=settings.realm, revision=revision)
    for step in done.revisions:
        print(f"applied {step}")
    if not done.revisions:
        print("the schema was up to date")
    print(f"realm {done.realm}, owner {done.owner}")
    if done.granted:
        print(f"granted to {', '.join(done.granted)}")
    for role in done.absent:
        print(f"role {role} does not exist: nothing granted to it")


@app.command()
def down(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(help="Where to stop; base removes everything.")],
    destroy_keys: Annotated[
        bool, typer.Option("--destroy-keys", help="Go on although data keys are stored.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Take the schema back to a revision; show what would be lost first."""
    settings, engine = _migrator(context)
    migrations.check_revision(revision)
    with plain_failures("migrate", unavailable=ConfigurationError), engine.connect() as connection:
        keys = migrations.count_keys(connection)
        current = migrations.status(connection).current
    print(f"from revision {current or 'none'} back to {revision}, realm {settings.realm}")
    if keys:
        print(f"this destroys {plural(keys, 'data key')} and every value encrypted under them")
    if not yes:
        confirm("go on?")
    with plain_failures("migrate", unavailable=ConfigurationError):
        done = migrations.downgrade(
            engine, realm=settings.realm, revision=revision, destroy_keys=destroy_keys
        )
    for step in done.revisions:
        print(f"reverted {step}")
    if not done.revisions:
        print("there was nothing to revert")


@app.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """Show the schema's revision; exit with 1 when it is not the newest."""
    _, engine = _migrator(context)
    with plain_failures("migrate", unavailable=ConfigurationError), engine.connect() as connection:
        found = migrations.status(connection)
    if as_json:
        print_json(
            {
                "current": found.current,
                "head": found.head,
                "pending": found.pending,
                "realm": found.realm,
            }
        )
    else:
        print(f"revision {found.current or 'none'}, newest {found.head}")
        print(f"realm {found.realm or 'none'}")
        for step in found.pending:
            print(f"pending {step}")
    if found.pending:
        raise typer.Exit(FAILURE)


@app.command()
def sql(
    context: typer.Context,
    revision: Annotated[str, typer.Option("--to", metavar="REVISION", help="Stop here.")] = "head",
) -> None:
    """Print the SQL that creates the schema, for somebody else to read and run; no connection."""
    settings = options_of(context).settings("migrator")
    print(migrations.offline_sql(realm=settings.realm, revision=revision), end="")
