"""`vaultdb migrate`: vaultdb's own schema and the user's, by a login of its own."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import MetaData

from vaultdb.alembic import checks, own, preview, runner, scaffold
from vaultdb.alembic.patience import Patience
from vaultdb.alembic.trees import OWN
from vaultdb.audit.kinds import MIGRATION_APPLIED
from vaultdb.cli import migrating_output as output
from vaultdb.cli.asking import confirm
from vaultdb.cli.migrating import (
    ATTEMPTS,
    LOCK_TIMEOUT,
    Attempts,
    Folder,
    LockTimeout,
    Model,
    Only,
    Superuser,
    To,
    Wait,
    setup,
)
from vaultdb.cli.models import NO_MODELS, load_metadata, load_object
from vaultdb.cli.options import Json, Yes, options_of
from vaultdb.cli.report import DIFFERS, FAILURE, plural, print_json
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.recording import Recorder, recorded

if TYPE_CHECKING:
    from vaultdb.alembic.session import Session

app = typer.Typer(
    help="Create and change vaultdb's schema and yours, by the login of VAULTDB_MIGRATE_URL.",
    no_args_is_help=True,
)


@app.command()
def up(
    context: typer.Context,
    *,
    revision: To = "head",
    tree: Only = None,
    migrations: Folder = None,
    model: Model = None,
    wait: Wait = 0,
    lock_timeout: LockTimeout = LOCK_TIMEOUT,
    attempts: Attempts = ATTEMPTS,
    allow_superuser: Superuser = False,
    as_json: Json = False,
) -> None:
    """Apply what is pending: vaultdb's revisions, then yours; record realm, names and grants."""
    found = setup(context, migrations, tree, model=model, allow_superuser=allow_superuser)
    if found.one_tree().name == OWN:
        own.check_revision(revision)
    with (
        found.changing(Patience(wait, lock_timeout, attempts), _teller(as_json)) as session,
        recorded(found.settings, "migrate up", may_lack_log=True) as record,
    ):
        if not as_json:
            session.ended = output.print_step
        done = runner.upgrade(
            session, realm=found.settings.realm, app=found.app, only=tree, revision=revision
        )
        _record_steps(record, session)
    if as_json:
        print_json(output.upgrade_as_json(session, done))
    else:
        output.print_upgrade(session, done)


@app.command(context_settings={"ignore_unknown_options": True})  # -1 is a revision
def down(
    context: typer.Context,
    revision: Annotated[
        str, typer.Argument(help="Where to stop; -1 is one back, base removes everything.")
    ],
    *,
    tree: Only = None,
    migrations: Folder = None,
    destroy_keys: Annotated[
        bool, typer.Option("--destroy-keys", help="Go on although data keys are stored.")
    ] = False,
    wait: Wait = 0,
    lock_timeout: LockTimeout = LOCK_TIMEOUT,
    attempts: Attempts = ATTEMPTS,
    allow_superuser: Superuser = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take one tree back to a revision; show what would be lost first."""
    found = setup(context, migrations, tree, allow_superuser=allow_superuser)
    chosen = found.one_tree()
    if chosen.name == OWN:
        own.check_revision(revision)
    with found.looking() as session:
        trees, _ = runner.status(session, app=found.app)
        keys = own.count_keys(session.connection) if chosen.name == OWN else 0
    current = next((", ".join(each.current) for each in trees if each.tree == chosen.name), "")
    if not as_json:
        realm = found.settings.realm
        print(f"{chosen.name}: from revision {current or 'none'} back to {revision}, realm {realm}")
        if keys:
            print(f"this destroys {plural(keys, 'data key')} and every value encrypted under them")
    if not yes:
        confirm("go on?")
    with (
        found.changing(Patience(wait, lock_timeout, attempts), _teller(as_json)) as session,
        recorded(found.settings, "migrate down", revision, may_lack_log=True) as record,
    ):
        if not as_json:
            session.ended = output.print_step
        runner.downgrade(
            session,
            realm=found.settings.realm,
            tree=chosen,
            revision=revision,
            destroy_keys=destroy_keys,
        )
        _record_steps(record, session)
    if as_json:
        print_json(output.upgrade_as_json(session, None))
    elif not session.steps:
        print("there was nothing to revert")


@app.command()
def plan(
    context: typer.Context,
    *,
    tree: Only = None,
    migrations: Folder = None,
    model: Model = None,
    lock_timeout: LockTimeout = LOCK_TIMEOUT,
    allow_superuser: Superuser = False,
    as_json: Json = False,
) -> None:
    """Apply what is pending, show DDL, locks and privileges, roll back; exit with 2 if pending."""
    found = setup(context, migrations, tree, model=model, allow_superuser=allow_superuser)
    with found.changing(Patience(lock_timeout=lock_timeout), _teller(as_json)) as session:
        shown = preview.preview(session, realm=found.settings.realm, app=found.app, only=tree)
    if as_json:
        print_json(output.preview_as_json(shown))
    else:
        output.print_preview(shown)
    if not shown.is_empty:
        raise typer.Exit(DIFFERS)


@app.command()
def status(context: typer.Context, migrations: Folder = None, as_json: Json = False) -> None:
    """Show the revision of both trees; exit with 1 when one is not the newest."""
    found = setup(context, migrations)
    with found.looking() as session:
        trees, realm = runner.status(session, app=found.app)
    if as_json:
        print_json(output.status_as_json(trees, realm))
    else:
        output.print_status(trees, realm)
    if any(each.pending for each in trees):
        raise typer.Exit(FAILURE)


@app.command()
def sql(
    context: typer.Context,
    revisions: Annotated[
        str, typer.Option("--to", metavar="REVISION", help="Stop here; or FROM:TO.")
    ] = "head",
    tree: Only = None,
    migrations: Folder = None,
) -> None:
    """Print the SQL of both trees, for somebody else to read and run; no connection."""
    found = setup(context, migrations, tree)
    print(
        runner.offline_sql(
            realm=found.settings.realm,
            app=found.app,
            only=tree,
            revisions=revisions,
            names=found.names,
        ),
        end="",
    )


@app.command()
def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where your migrations will be.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODULE:NAME",
            help="Models that env.py will import; default: the setting models.",
        ),
    ] = None,
) -> None:
    """Write env.py, script.py.mako and an empty versions folder for your own migrations."""
    name = model or options_of(context).settings("migrator").models
    if name is None:
        raise ConfigurationError(NO_MODELS)
    load_metadata(name)
    module, _, attribute = name.partition(":")
    is_metadata = isinstance(load_object(name), MetaData)
    for path in scaffold.init(folder, module=module, name=attribute, is_metadata=is_metadata):
        print(f"wrote {path}")
    print(f'next: migrations = "{folder}" in vaultdb.toml, then: vaultdb migrate new MESSAGE')


@app.command()
def new(
    context: typer.Context,
    message: Annotated[str, typer.Argument(help="What the revision does, in a few words.")],
    *,
    migrations: Folder = None,
    model: Model = None,
    empty: Annotated[bool, typer.Option("--empty", help="Fill it in by hand.")] = False,
    merge: Annotated[
        list[str] | None,
        typer.Option("--merge", metavar="REVISION", help="Join these heads; say it for each."),
    ] = None,
) -> None:
    """Write a revision of yours with what the models have and the database has not."""
    found = setup(context, migrations, model=model)
    tree = found.require_app()
    if merge:
        paths = scaffold.merge(tree, merge, message)
    elif empty:
        paths = scaffold.new_empty(tree, message)
    else:
        with found.looking() as session:
            paths = scaffold.new(session, tree, message)
    for path in paths:
        print(f"wrote {path}")
    if not paths:
        print("the database has what the models have: nothing written (--empty writes anyway)")


@app.command()
def check(
    context: typer.Context, migrations: Folder = None, model: Model = None, as_json: Json = False
) -> None:
    """Look for models without a revision, and for migrations that do harm; exit with 1 if any."""
    found = setup(context, migrations, model=model)
    tree = found.require_app()
    with found.looking() as session:
        missing, findings = checks.check(session, tree)
    if as_json:
        print_json({"missing": missing, "findings": [asdict(finding) for finding in findings]})
    else:
        for line in missing:
            print(f"not in a revision: {line}")
        for finding in findings:
            print(finding)
        if missing:
            print("run: vaultdb migrate new MESSAGE")
        elif not findings:
            print("the models have nothing that the migrations have not, and no rule is broken")
    if missing or findings:
        raise typer.Exit(FAILURE)


def _teller(as_json: bool) -> output.Teller:
    """Return how notices are shown: with the rest, or on stderr so that JSON stays JSON."""
    return lambda notice: print(f"note: {notice}", file=sys.stderr if as_json else sys.stdout)


def _record_steps(record: Recorder, session: Session) -> None:
    """Record each revision; what the steps of both trees were is in the database, too."""
    for step in session.steps:
        direction = "up" if step.is_upgrade else "down"
        record(MIGRATION_APPLIED, branch=step.tree, revision=step.revision, direction=direction)
