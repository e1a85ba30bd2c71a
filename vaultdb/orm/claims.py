"""Telling PostgreSQL who acts: the settings that row-level security policies compare with.

They are set for one transaction each, by a statement ahead of its first one; and again when
somebody else acts, or when a savepoint is rolled back, which takes them back too.

They are no boundary against SQL injection: whoever can run SQL can set them. They stop the
statement that forgot its WHERE. A streamed result is evaluated when its first row is fetched: for
whoever acts then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Table, event
from sqlalchemy.sql import visitors

from vaultdb.errors import StatementRefused
from vaultdb.orm.runtime import runtime_of
from vaultdb.orm.scope import acting_for

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine import Connection, RootTransaction

TENANT = "vaultdb.tenant"
PRINCIPAL = "vaultdb.principal"

Claims = tuple[str, str]
"""The tenant and the principal; "" where there is none, which matches no row."""

_SET = (
    f"SELECT pg_catalog.set_config('{TENANT}', %(tenant)s, true),"
    f" pg_catalog.set_config('{PRINCIPAL}', %(principal)s, true)"
)
_AHEAD = r"(?>\s+|/\*.*?\*/|--[^\n]*)*+"
"""Space and comments; possessive, so that no text makes the match slow."""
_CONTROL = re.compile(
    _AHEAD
    + r"(?:(?P<keeps>release|savepoint)"
    + r"|abort|begin|commit|discard|end|prepare|reset|rollback|set|start)\b",
    re.IGNORECASE | re.DOTALL,
)
"""Statements that no claim is sent ahead of: some must be the first, or may follow a failure."""


_guarded: WeakSet[Table] = WeakSet()
_sent: WeakKeyDictionary[RootTransaction, Claims] = WeakKeyDictionary()


def guard(table: Table) -> None:
    """Have every prepared engine tell who acts: this table shows its rows by claims."""
    _guarded.add(table)


def send_claims(engine: Engine) -> None:
    """Tell the server who acts, ahead of statements; a second call changes nothing."""
    postgresql = engine.dialect.name == "postgresql"
    if postgresql and not event.contains(engine, "before_cursor_execute", _before_cursor_execute):
        event.listen(engine, "before_cursor_execute", _before_cursor_execute)


def _before_cursor_execute(
    connection: Connection,
    _cursor: Any,
    statement: str,
    _parameters: Any,
    context: Any,
    _many: bool,
) -> None:
    if not _guarded:
        return
    transaction: Any = connection.get_transaction()
    if transaction is None:
        return  # the dialect's own first questions
    control = _CONTROL.match(statement)
    if control is not None:
        if control["keeps"] is None:
            _sent.pop(transaction, None)  # it may take the settings back
        return
    claims = _claims_of(connection)
    if _sent.get(transaction) != claims:
        if _commits_each_statement(connection):
            _refuse_guarded(context)
        else:
            _send(connection, transaction, claims)


def _send(connection: Connection, transaction: RootTransaction, claims: Claims) -> None:
    _sent[transaction] = claims  # before it is so, because sending leads here again
    tenant, principal = claims
    try:
        connection.exec_driver_sql(
            _SET,
            {"tenant": tenant, "principal": principal},
            # A streamed SELECT would not be evaluated before its first row is fetched.
            execution_options={"stream_results": False, "yield_per": None},
        ).close()
    except BaseException:
        _sent.pop(transaction, None)
        raise


def _commits_each_statement(connection: Connection) -> bool:
    driver: Any = connection.connection.driver_connection
    return bool(driver.autocommit)


def _refuse_guarded(context: Any) -> None:
    """Refuse what would silently find no row; what a text reads cannot be told."""
    statement = getattr(context.compiled, "statement", None)
    if statement is None:
        return
    for element in visitors.iterate(statement):
        if isinstance(element, Table) and element in _guarded:
            raise StatementRefused(
                f"{element.fullname} shows rows to whoever acts, which PostgreSQL is told for one "
                "transaction: in AUTOCOMMIT there is none, use a transaction"
            )


def _claims_of(connection: Connection) -> Claims:
    acting = acting_for(connection)
    default = runtime_of(connection.dialect).default_tenant
    if acting is None:
        return (default, "")
    return (default if acting.tenant is None else acting.tenant, acting.principal)
