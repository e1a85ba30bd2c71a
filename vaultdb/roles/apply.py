"""Make what is wanted true: one transaction, under a lock, and again as often as one likes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from vaultdb.db.own_path import own_path
from vaultdb.db.quoting import quote_name
from vaultdb.errors import ConfigurationError, SchemaError
from vaultdb.roles.operations import record
from vaultdb.roles.plan import Plan, plan, plan_of
from vaultdb.roles.scope import DEFAULT_SCHEMA, Members
from vaultdb.roles.snapshot import take

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from vaultdb.db.role_names import RoleNames
    from vaultdb.roles.fact import Fact
    from vaultdb.roles.scope import Scope
    from vaultdb.roles.snapshot import Snapshot

LOCK = "vaultdb.roles"
"""Hashed, the key of the advisory lock; it covers one database."""

LOCK_SECONDS = 10.0
"""How long to wait for another `roles apply` on the same database."""

ATTEMPTS = 5
"""Roles belong to the whole cluster: the same work in another database may come in between."""

_ROUNDS = 3
_PAUSE = 0.2
# tuple concurrently updated; duplicate name; serialisation failure; deadlock
_CONCURRENT = frozenset({"XX000", "23505", "42710", "40001", "40P01"})

Progress = Callable[[int, int], None]
"""Told how many statements are done and how many there are."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What one run did."""

    statements: tuple[str, ...]
    """The SQL that was run."""
    left: Plan
    """What is still different: what the login may not change."""
    recorded: bool
    """Whether it was written into the audit schema."""
    reasons: tuple[str, ...] = ()
    """Why something is left, in PostgreSQL's words."""


def apply(
    connection: Connection,
    metadata: MetaData | Collection[MetaData] | None,
    names: RoleNames,
    *,
    default_schema: str = DEFAULT_SCHEMA,
    logins: Collection[str] = (),
    members: Members = MappingProxyType({}),
    progress: Progress | None = None,
) -> Applied:
    """Make roles, privileges and settings what they shall be; what is right stays untouched.

    Args:
        connection: of a superuser or a login with CREATEROLE. Its transaction is used when it has
            one, else one is made; all is done, or nothing.
        metadata: the models.
        names: the capability roles.
        default_schema: where tables without a schema are, unquoted.
        logins: static logins to make when they are missing, unquoted, without a password.
        members: logins under names of yours and their capability roles, unquoted.
        progress: called after each statement.

    Raises:
        ConfigurationError: the login may not change roles, or PostgreSQL refuses a statement.
        SchemaError: another run has the lock.

    """
    with _transaction(connection):
        found = plan(
            connection,
            metadata,
            names,
            default_schema=default_schema,
            logins=logins,
            members=members,
        )
        _refuse_login(found.scope, found.snapshot)
        _lock(connection)
        for attempt in range(1, ATTEMPTS + 1):
            run = _Run(connection, found.scope, progress)
            try:
                with connection.begin_nested():
                    return run()
            except _ConcurrentlyChangedError as error:
                if attempt == ATTEMPTS:
                    raise ConfigurationError(f"cannot apply roles: {error}; try again") from None
                time.sleep(_PAUSE * attempt)
    raise AssertionError  # the last attempt returns or raises


class _ConcurrentlyChangedError(Exception):
    """Another session changed the same role meanwhile."""


class _Run:
    """One attempt."""

    def __init__(self, connection: Connection, scope: Scope, progress: Progress | None) -> None:
        self._connection = connection
        self._scope = scope
        self._progress = progress
        self._done: list[str] = []
        self._reasons: dict[str, str] = {}
        self._borrowed: list[str] = []

    def __call__(self) -> Applied:
        left = self._plan()
        at_first = _without_own(left.snapshot)
        for _ in range(_ROUNDS):
            before = left.statements
            for number, statement in enumerate(left.statements, 1):
                self._run(statement, careful=not left.snapshot.is_superuser)
                if self._progress is not None:
                    self._progress(number, len(left.statements))
            borrowed = self._borrow(left.snapshot)
            left = self._plan()
            if not left or (left.statements == before and not borrowed):
                break
        # A REVOKE by somebody who did not grant succeeds, and changes nothing.
        self._done = [each for each in self._done if each not in left.statements]
        recorded = _without_own(left.snapshot) != at_first and self._record(left)
        self._give_back()
        reasons = tuple(self._reasons[each] for each in left.statements if each in self._reasons)
        return Applied(tuple(self._done), left, recorded, tuple(dict.fromkeys(reasons)))

    def _plan(self) -> Plan:
        snapshot = take(self._connection, self._scope.schemas, self._scope.names)
        lent = {
            fact
            for fact in snapshot.facts
            if fact.fact == "member"
            and fact.who == snapshot.acting
            and fact.object in self._borrowed
        }
        return plan_of(self._scope, replace(snapshot, facts=snapshot.facts - lent))

    def _run(self, statement: str, *, careful: bool) -> bool:
        """Run a statement; when it may fail for want of a privilege, note why and go on."""
        try:
            with self._connection.begin_nested():
                _execute(self._connection, statement)
        except DBAPIError as error:
            state, message = _reason(error)
            if state in _CONCURRENT:
                raise _ConcurrentlyChangedError(message) from None
            if not careful:
                line = statement.strip().splitlines()[-1]
                raise ConfigurationError(
                    f"cannot apply roles: PostgreSQL says {message} ({state}), at: {line}"
                ) from None
            self._reasons[statement] = message
            return False
        self._done.append(statement)
        return True

    def _borrow(self, snapshot: Snapshot) -> bool:
        """Become a member of the owners, which a login that is no superuser needs; for now."""
        if snapshot.is_superuser or self._borrowed:
            return False
        options = " WITH INHERIT TRUE, SET TRUE" if snapshot.has_options_per_membership else ""
        for name in (self._scope.names.owner, self._scope.names.audit_owner):
            role = quote_name(name)
            is_member = role in snapshot.memberships and not snapshot.has_options_per_membership
            grant = f"GRANT {role} TO {snapshot.acting}{options}"
            if not is_member and self._run(grant, careful=True):
                self._done.pop()
                self._borrowed.append(role)
        return bool(self._borrowed)

    def _give_back(self) -> None:
        acting = self._connection.scalar(text("SELECT quote_ident(current_user)"))
        for role in self._borrowed:
            _execute(self._connection, f"REVOKE {role} FROM {acting}")

    def _record(self, left: Plan) -> bool:
        detail = {
            "statements": len(self._done),
            "sql": self._done,
            "left": len(left.missing) + len(left.excess),
        }
        return record(self._connection, "roles apply", left.snapshot.database, detail)


def _without_own(snapshot: Snapshot) -> set[Fact]:
    """Return the facts without what the login is a member of, which changes for the while."""
    return {f for f in snapshot.facts if (f.fact, f.who) != ("member", snapshot.acting)}


def _refuse_login(scope: Scope, snapshot: Snapshot) -> None:
    login = quote_name(snapshot.login)
    if scope.is_ours(login):
        raise ConfigurationError(
            f"login {snapshot.login} is one of the roles that would be changed; use an"
            " administrator's: set VAULTDB_ADMIN_URL"
        )
    if not (snapshot.is_superuser or snapshot.is_creator):
        raise ConfigurationError(
            f"login {snapshot.login} may not change roles: use a superuser's, or one with"
            " CREATEROLE that owns the database; set VAULTDB_ADMIN_URL"
        )


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    with connection.begin_nested() if connection.in_transaction() else connection.begin():
        _execute(connection, "SET LOCAL statement_timeout = 0")
        _execute(connection, "SET LOCAL lock_timeout = '5s'")
        with own_path(connection):
            yield


def _lock(connection: Connection) -> None:
    """Take the lock, or say who does not let go of it."""
    asked = text("SELECT pg_try_advisory_xact_lock(hashtext(:lock))")
    deadline = time.monotonic() + LOCK_SECONDS
    while not connection.scalar(asked, {"lock": LOCK}):
        if time.monotonic() > deadline:
            raise SchemaError(
                "another run of roles apply holds the lock on this database (see pg_locks,"
                " locktype advisory); wait for it to end"
            )
        time.sleep(_PAUSE)


def _execute(connection: Connection, statement: str) -> None:
    """Run SQL as it is: a name may contain a percent sign or a colon."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _reason(error: DBAPIError) -> tuple[str, str]:
    original = error.orig
    if not isinstance(original, psycopg.Error):
        return "", type(error).__name__
    said = (original.diag.message_primary, original.diag.message_detail)
    text = "; ".join(each.rstrip(".") for each in said if each)
    return original.sqlstate or "", text or type(original).__name__
