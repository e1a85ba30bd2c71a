"""`vaultdb roles`: who may do what in PostgreSQL."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.audit.kinds import ROLES_CHANGED
from vaultdb.cli import roles_output as output
from vaultdb.cli.asking import confirm
from vaultdb.cli.models import load_models
from vaultdb.cli.opening import open_connection
from vaultdb.cli.options import Json, Models, Yes, options_of
from vaultdb.cli.progress import progress_bar
from vaultdb.cli.report import DIFFERS, FAILURE, plural, print_json
from vaultdb.db.role_names import RoleNames
from vaultdb.db.url import normalise_url
from vaultdb.errors import ConfigurationError, VaultDBError
from vaultdb.jobs.recording import recorded
from vaultdb.roles.apply import apply as apply_roles
from vaultdb.roles.matrix import matrix
from vaultdb.roles.pgaudit import AUDIT_ROLE, pgaudit_sql
from vaultdb.roles.plan import plan as plan_roles
from vaultdb.roles.script import offline_sql
from vaultdb.roles.static_logins import static_logins
from vaultdb.roles.verify import verify as verify_roles

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from vaultdb.settings import Settings
    from vaultdb.settings.model import Role

app = typer.Typer(
    help="Plan, apply and verify roles and privileges in PostgreSQL.", no_args_is_help=True
)

_READERS: tuple[Role | None, ...] = ("admin", "migrator", None)
"""Whose login looks: the first that is set; all see the same."""

Logins = Annotated[
    bool,
    typer.Option(
        "--logins/--no-logins",
        help="Make the static login roles that are missing, without a password; those that exist"
        " are always looked after.",
    ),
]


@app.command()
def plan(
    context: typer.Context,
    model: Models = None,
    logins: Logins = True,
    sql: Annotated[bool, typer.Option("--sql", help="Show the statements too.")] = False,
    as_json: Json = False,
) -> None:
    """Show what apply would change; exit with 2 when that is something. Changes nothing."""
    metadata = _models(context, model)
    with _reading(context) as (connection, settings, login):
        names = RoleNames.of(settings.database)
        found = plan_roles(
            connection,
            metadata,
            names,
            logins=_logins(names, wanted=logins),
            members=_members(context, names),
        )
    if as_json:
        print_json(output.plan_as_json(found, login))
    else:
        output.print_plan(found, sql=sql)
        print(f"looked with the login of {login}: {found.snapshot.login}")
    if found:
        raise typer.Exit(DIFFERS)


@app.command()
def apply(
    context: typer.Context,
    model: Models = None,
    logins: Logins = True,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Make roles, privileges and settings what they shall be, by the login of VAULTDB_ADMIN_URL.

    Shows the plan and asks first. One transaction: all is done, or nothing.
    """
    metadata = _models(context, model)
    settings = _admin(context)
    names = RoleNames.of(settings.database)
    wanted = _logins(names, wanted=logins)
    members = _members(context, names)
    with open_connection(
        settings, "change roles and privileges", searches_models=False
    ) as connection:
        found = plan_roles(connection, metadata, names, logins=wanted, members=members)
        connection.rollback()
        if not as_json:
            output.print_plan(found, sql=False)
        if found and not yes:
            confirm("go on?")
        with progress_bar("applying", len(found.statements), hidden=as_json) as advance:
            done = apply_roles(
                connection,
                metadata,
                names,
                logins=wanted,
                members=members,
                progress=lambda _n, _of: advance(1),
            )
    if done.statements:
        _record(context, done.statements)
    if as_json:
        print_json(output.applied_as_json(done))
    else:
        output.print_applied(done)
    if done.left:
        raise typer.Exit(FAILURE)


@app.command()
def verify(context: typer.Context, model: Models = None, as_json: Json = False) -> None:
    """Name every difference between the database and what is wanted; exit with 1 when there is one.

    Prints the role matrix too. Changes nothing, and any login sees the same: the administrator's
    is used, else the migrator's, else the application's.
    """
    metadata = _models(context, model)
    with _reading(context) as (connection, settings, login):
        names = RoleNames.of(settings.database)
        began = time.perf_counter()
        found = verify_roles(connection, metadata, names, members=_members(context, names))
        seconds = time.perf_counter() - began
        rights = matrix(connection, found.plan.scope.schemas, names)
    if as_json:
        print_json(output.verification_as_json(found, rights, login))
    else:
        output.print_matrix(rights)
        output.print_verification(found)
        print(
            f"looked at {plural(found.facts, 'fact')} in {seconds:.2f} s with the login of"
            f" {login}: {found.plan.snapshot.login}"
        )
    if not found.is_clean:
        raise typer.Exit(FAILURE)


@app.command()
def sql(context: typer.Context, model: Models = None, logins: Logins = True) -> None:
    """Print the SQL of apply, for a DBA to read and run with psql; no connection."""
    settings = options_of(context).settings("admin")
    names = RoleNames.of(settings.database)
    print(offline_sql(_models(context, model), names, logins=_logins(names, wanted=logins)), end="")


@app.command()
def pgaudit(
    context: typer.Context,
    model: Models = None,
    role: Annotated[
        str, typer.Option("--role", metavar="NAME", help="The audit role of pgaudit.")
    ] = AUDIT_ROLE,
) -> None:
    """Print SQL that has the extension pgaudit log who touches encrypted columns; no connection.

    Declare the same with access(others=...), or roles verify calls these grants drift.
    """
    settings = options_of(context).settings("admin")
    url = settings.database.url
    database = normalise_url(url.get_secret_value()).database if url is not None else None
    if database is None:
        raise ConfigurationError("the name of the database is not known: set VAULTDB_ADMIN_URL")
    print(pgaudit_sql(_models(context, model), database, role=role))


def _record(context: typer.Context, statements: Sequence[str]) -> None:
    """Put a change into the audit log, too, by the migrator: an administrator has no Vault login.

    It is in `vaultdb_audit.operation` already, in the transaction that made it.
    """
    digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()
    try:
        settings = options_of(context).settings("migrator")
        if settings.database.url is None and settings.database.lease is None:
            return
        with recorded(settings, "roles apply", may_lack_log=True) as record:
            record(ROLES_CHANGED, statements=len(statements), digest=digest)
    except VaultDBError as error:
        print(
            f"warning: not in the audit log, only in its table operation: {error}", file=sys.stderr
        )


def _models(context: typer.Context, model: list[str] | None) -> list[MetaData]:
    return load_models(model, options_of(context).settings("admin"))


def _logins(names: RoleNames, *, wanted: bool) -> list[str]:
    return [login.name for login in static_logins(names)] if wanted else []


def _members(context: typer.Context, names: RoleNames) -> dict[str, str]:
    """Return the logins that the settings name, each with the capability role of its work."""
    capabilities: dict[Role | None, str] = {
        "migrator": names.owner,
        None: names.rw,
        "reader": names.ro,
        "officer": names.officer,
        "rotator": names.rotator,
        "auditor": names.auditor,
        "sequencer": names.sequencer,
        "backup": names.backup,
    }
    found: dict[str, str] = {}
    app = options_of(context).settings().database.url
    for role, capability in capabilities.items():
        url = options_of(context).settings(role).database.url
        is_own = role is None or url != app  # a role without a login of its own has the app's
        if url is not None and is_own and (user := normalise_url(url.get_secret_value()).username):
            found.setdefault(user, capability)
    return found


def _admin(context: typer.Context) -> Settings:
    settings = options_of(context).settings("admin")
    if settings.database.url is None:
        raise ConfigurationError(
            "roles are changed with an administrator's login: set VAULTDB_ADMIN_URL, or url in"
            " [role.admin.database] of vaultdb.toml; or let a DBA run the output of:"
            " vaultdb roles sql"
        )
    return settings


@contextmanager
def _reading(context: typer.Context) -> Iterator[tuple[Connection, Settings, str]]:
    """Give a connection that only looks, its settings, and whose login it is."""
    for role in _READERS:
        settings = options_of(context).settings(role)
        if settings.database.url is not None or role is None:
            with open_connection(
                settings, "look at roles and privileges", searches_models=False
            ) as connection:
                yield connection, settings, role or "app"
            return
