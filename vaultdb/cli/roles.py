"""`vaultdb roles`: who may do what in PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.cli.asking import confirm
from vaultdb.cli.models import load_metadata
from vaultdb.cli.options import Json, Yes, options_of
from vaultdb.cli.progress import progress_bar
from vaultdb.cli.report import (
    FAILURE,
    plural,
    print_json,
    print_table,
    shown_on_terminal,
)
from vaultdb.db.connect import new_engine
from vaultdb.db.failures import plain_failures
from vaultdb.db.role_names import RoleNames
from vaultdb.db.url import normalise_url
from vaultdb.errors import ConfigurationError
from vaultdb.roles.apply import apply as apply_roles
from vaultdb.roles.description import describe
from vaultdb.roles.matrix import lines, matrix
from vaultdb.roles.plan import Plan
from vaultdb.roles.plan import plan as plan_roles
from vaultdb.roles.script import offline_sql
from vaultdb.roles.static_logins import static_logins
from vaultdb.roles.verify import verify as verify_roles

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from vaultdb.roles.verify import Verification
    from vaultdb.settings import Settings
    from vaultdb.settings.model import Role

app = typer.Typer(
    help="Plan, apply and verify roles and privileges in PostgreSQL.", no_args_is_help=True
)

DIFFERENT = 2
"""Exit code of `roles plan` when `roles apply` would change something."""

_READERS: tuple[Role | None, ...] = ("admin", "migrator", None)
"""Whose login looks: the first that is set; all see the same."""

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", metavar="MODULE:NAME",
        help="Declarative base or MetaData; repeatable; default: the setting models.",
    ),
]  # fmt: skip
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
        names = _names(settings)
        found = plan_roles(
            connection,
            metadata,
            names,
            logins=_logins(names, wanted=logins),
            members=_members(context, names),
        )
    if as_json:
        print_json(_plan_as_json(found, login))
    else:
        _print_plan(found, sql=sql)
        print(f"looked with the login of {login}: {found.snapshot.login}")
    if found:
        raise typer.Exit(DIFFERENT)


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
    names = _names(settings)
    wanted = _logins(names, wanted=logins)
    members = _members(context, names)
    with _connection(settings) as connection:
        found = plan_roles(connection, metadata, names, logins=wanted, members=members)
        connection.rollback()
        if not as_json:
            _print_plan(found, sql=False)
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
    if as_json:
        print_json(
            {
                "statements": done.statements,
                "left": done.left.statements,
                "reasons": done.reasons,
                "recorded": done.recorded,
            }
        )
    else:
        print(f"ran {plural(len(done.statements), 'statement')}")
        if done.recorded:
            print("recorded in vaultdb_audit.operation")
        for statement in done.left.statements:
            print(shown_on_terminal(f"left, for a superuser: {statement}"))
        for reason in done.reasons:
            print(shown_on_terminal(f"postgresql says: {reason}"))
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
        names = _names(settings)
        began = time.perf_counter()
        found = verify_roles(connection, metadata, names, members=_members(context, names))
        seconds = time.perf_counter() - began
        rights = matrix(connection, found.plan.scope.schemas, names)
    if as_json:
        print_json(_verification_as_json(found, login) | {"matrix": [asdict(r) for r in rights]})
    else:
        table = lines(rights)
        print_table(("table", "role", "may"), table, nothing="there are no tables")
        print("(columns): only some; *: only after SET ROLE\n")
        _print_verification(found)
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
    names = _names(settings)
    print(offline_sql(_models(context, model), names, logins=_logins(names, wanted=logins)), end="")


def _models(context: typer.Context, model: list[str] | None) -> list[MetaData]:
    named = model or [options_of(context).settings("admin").models or ""]
    return [load_metadata(name) for name in named if name]


def _names(settings: Settings) -> RoleNames:
    return RoleNames(settings.database.role_prefix)


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
            with _connection(settings) as connection:
                yield connection, settings, role or "app"
            return


@contextmanager
def _connection(settings: Settings) -> Iterator[Connection]:
    engine = new_engine(settings)
    failures = plain_failures("look at roles and privileges", unavailable=ConfigurationError)
    try:
        with failures, engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _print_plan(found: Plan, *, sql: bool) -> None:
    changes = [("-", fact) for fact in found.excess] + [("+", fact) for fact in found.missing]
    for sign, fact in sorted(changes, key=lambda change: (change[1].fact, change[1], change[0])):
        print(shown_on_terminal(f"{sign} {describe(fact)}"))
    if sql:
        for statement in found.statements:
            print(shown_on_terminal(f"{statement};"))
    for fact in sorted(found.comparison.reported):
        print(shown_on_terminal(f"! {describe(fact)}, which apply leaves alone"))
    for name in found.comparison.absent:
        print(shown_on_terminal(f"{name} does not exist yet; run: vaultdb migrate up"))
    for role in found.comparison.strangers:
        print(shown_on_terminal(f"role {role}, named in a declaration, does not exist"))
    if not found:
        print("there is nothing to change")
    if not found.scope.metadata:
        print("no models were given, so access to your tables is not looked at; say --model")


def _print_verification(found: Verification) -> None:
    for drift in found.drifts:
        print(shown_on_terminal(f"drift: {drift.problem}"))
        by_hand = "" if drift.is_repaired else "  (apply leaves it alone)"
        print(shown_on_terminal(f"       {drift.remedy}{by_hand}"))
    for note in found.notes:
        print(shown_on_terminal(f"note: {note.text}"))
        if note.remedy:
            print(shown_on_terminal(f"      {note.remedy}"))
    if found.is_clean:
        print("roles and privileges are as they shall be")
    else:
        print(
            f"{plural(len(found.drifts), 'difference')}; most are repaired by: vaultdb roles apply"
        )


def _plan_as_json(found: Plan, login: str) -> dict[str, object]:
    return {
        "missing": [asdict(fact) for fact in sorted(found.missing)],
        "excess": [asdict(fact) for fact in sorted(found.excess)],
        "reported": [asdict(fact) for fact in sorted(found.comparison.reported)],
        "statements": found.statements,
        "absent": found.comparison.absent,
        "strangers": found.comparison.strangers,
        "login": {"role": login, "name": found.snapshot.login},
    }


def _verification_as_json(found: Verification, login: str) -> dict[str, object]:
    return {
        "clean": found.is_clean,
        "drifts": [asdict(drift) for drift in found.drifts],
        "notes": [asdict(note) for note in found.notes],
        "facts": found.facts,
        "login": {"role": login, "name": found.plan.snapshot.login},
    }
