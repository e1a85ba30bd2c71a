"""Set a PostgreSQL up for vaultdb: roles, logins, and the login of Vault's database engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from psycopg import sql
from sqlalchemy import Connection, text

from vaultdb.db.own_path import own_path
from vaultdb.provision import engine_login as engine
from vaultdb.provision.passwords import is_verified_by, set_password, stored_verifiers
from vaultdb.provision.postgres_spec import PostgresSpec
from vaultdb.provision.step import Progress, State, Step
from vaultdb.roles.apply import apply
from vaultdb.roles.plan import plan as plan_roles
from vaultdb.roles.static_logins import engine_login


def postgres(
    connection: Connection,
    spec: PostgresSpec,
    *,
    plan: bool = False,
    tell: Callable[[Step], object] = lambda _: None,
) -> list[Step]:
    """Make a database what vaultdb needs, in one transaction; repeat at will.

    Tables are left to `vaultdb roles apply` and to migrations, which know the models.

    Args:
        connection: of an administrator, in the database; a transaction that it has is used.
        spec: what is wanted.
        plan: only find out what differs.
        tell: called with each step when it is done.

    Raises:
        ConfigurationError: what is there cannot be used, or the login may not do it; nothing was
            changed.

    """
    progress = Progress(plan, tell)
    begun = nullcontext() if connection.in_transaction() else connection.begin()
    with begun, own_path(connection):
        found = engine.look(connection, spec.names)
        if spec.engine:
            engine.refuse_danger(found, spec)
        logins = _logins(connection, spec, found)
        _roles(connection, spec, progress)
        if spec.engine:
            _engine(connection, spec, progress)
        _passwords(connection, spec, progress, logins)
    return progress.steps


def _roles(connection: Connection, spec: PostgresSpec, progress: Progress) -> None:
    found = plan_roles(connection, None, spec.names, logins=spec.logins)
    what = "roles and their privileges"
    if progress.plan or not found:
        state = State.CHANGE if found else State.SAME
        progress.step(what, state, detail=found.statements)
        return
    done = apply(connection, None, spec.names, logins=spec.logins)
    progress.step(what, State.CHANGE, detail=done.statements)
    if done.left:
        progress.step("what the login may not change", State.FOREIGN, detail=done.reasons)


def _engine(connection: Connection, spec: PostgresSpec, progress: Progress) -> None:
    found = engine.look(connection, spec.names)  # again: new roles may be granted now
    due = list(engine.changes(found, spec))
    state = State.CREATE if found.attributes is None else State.CHANGE if due else State.SAME
    what = f"login {engine_login(spec.names)} of vault's database engine"

    def work() -> None:
        for _, statement in due:
            _execute(connection, statement)

    progress.step(what, state, work, detail=[line for line, _ in due])


@dataclass(frozen=True, slots=True)
class _Logins:
    """What is known of the logins before anything is done."""

    existing: frozenset[str]
    verifiers: Mapping[str, str | None] | None
    """what PostgreSQL stores, None when it does not say"""

    def is_due(self, login: str, password: str, spec: PostgresSpec) -> bool:
        """Whether a password is to be set."""
        is_engine = login == engine_login(spec.names)
        # Vault changes these by itself: the file holds only their first one.
        is_vaults = spec.static or is_engine
        may_set = not is_vaults or (is_engine and spec.reset_engine)
        if login not in self.existing:
            return True
        if self.verifiers is None:
            return may_set
        verifier = self.verifiers.get(login)
        return not verifier or (may_set and not is_verified_by(verifier, password))


def _logins(connection: Connection, spec: PostgresSpec, found: engine.Found) -> _Logins:
    names = text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:logins)")
    existing = frozenset(connection.scalars(names, {"logins": list(spec.passwords)}))
    stored = stored_verifiers(connection, spec.passwords) if found.is_superuser else None
    return _Logins(existing, stored)


def _passwords(
    connection: Connection, spec: PostgresSpec, progress: Progress, logins: _Logins
) -> None:
    for login, password in spec.passwords.items():
        due = logins.is_due(login, password, spec)
        changed = State.CHANGE if login in logins.existing else State.CREATE
        progress.step(
            f"password of {login}",
            changed if due else State.SAME,
            partial(set_password, connection, login, password),
        )


def _execute(connection: Connection, statement: sql.Composed) -> None:
    """Run SQL as it is: a name may contain a percent sign or a colon."""
    connection.exec_driver_sql(statement.as_string(None), execution_options={"no_parameters": True})
