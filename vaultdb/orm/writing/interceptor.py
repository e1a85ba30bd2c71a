"""The `before_execute` listener: encrypts what INSERT and UPDATE write.

It sees a statement before SQLAlchemy compiles it and binds its parameters, so that no plaintext
reaches a parameter set, an echoed log or an error. What it returns is a function of the statement's
shape alone: SQLAlchemy's cache of compiled statements works as without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, event
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.lambdas import LambdaElement

from vaultdb.errors import KeyDenied, StatementRefused
from vaultdb.orm.auditing.failures import note_denial
from vaultdb.orm.runtime import find_runtime
from vaultdb.orm.scope import tenant_for
from vaultdb.orm.types import is_encrypted
from vaultdb.orm.writing import dml
from vaultdb.orm.writing.insert import encrypt_insert
from vaultdb.orm.writing.rowcount import check_rowcount
from vaultdb.orm.writing.table import EncryptedTable, encrypted_table
from vaultdb.orm.writing.update import encrypt_update
from vaultdb.orm.writing.write import Write
from vaultdb.orm.writing.written import (
    await_result,
    operation_of,
    record_result,
    watch,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

Parameters = dict[str, Any]


def intercept_writes(engine: Engine) -> None:
    """Encrypt what is written through this engine; a second call changes nothing."""
    if not event.contains(engine, "before_execute", _before_execute):
        event.listen(engine, "before_execute", _before_execute, retval=True)
        event.listen(engine, "after_execute", check_rowcount)
        event.listen(engine, "after_execute", record_result)


def _before_execute(
    connection: Connection,
    statement: Any,
    many: Sequence[Parameters],
    single: Parameters,
    options: Mapping[str, Any],
) -> tuple[Any, Sequence[Parameters], Parameters]:
    if isinstance(statement, LambdaElement):
        _refuse_lambda(dml.resolved(statement))
    if isinstance(statement, Delete):
        _note_delete(connection, statement, many or [single], options)
    if not isinstance(statement, Insert | Update):
        return statement, many, single
    table = _target(statement)
    if table is None:
        return statement, many, single
    rows = [dict(row) for row in many] if many else [dict(single)]
    write = Write(connection, table, statement, rows, options)
    statement = _encrypt(write)
    return (statement, write.parameters, {}) if many else (statement, [], write.parameters[0])


def _encrypt(write: Write) -> Any:
    """Encrypt, and have the audit log told when the statement was executed."""
    try:
        written = write.written = watch(
            write.runtime, write.connection, write.table, operation_of(write.statement)
        )
        encrypt = encrypt_insert if write.statement.is_insert else encrypt_update
        statement = encrypt(write)
    except (StatementRefused, KeyDenied) as error:
        what = f"write {write.table.table.fullname}"
        note_denial(error, write.connection, write.runtime, what)
        raise
    if written is not None and not written.is_empty:
        if statement.is_update:
            written.look_before(write.connection, statement, write.parameters, write.options)
        tenant = tenant_for(write.connection, write.runtime)
        await_result(write.connection, statement, written, tenant, len(write.parameters))
    return statement


def _note_delete(
    connection: Connection, statement: Any, rows: Sequence[Parameters], options: Mapping[str, Any]
) -> None:
    table = encrypted_table(dml.target_of(statement))
    runtime = find_runtime(connection.dialect)
    if table is None or runtime is None:
        return
    written = watch(runtime, connection, table, operation_of(statement))
    if written is not None:
        written.look_before(connection, statement, rows, options)
        await_result(connection, statement, written, tenant_for(connection, runtime), len(rows))


def _refuse_lambda(statement: Any) -> None:
    """Refuse a write that SQLAlchemy would complete with values from a closure, after us."""
    if isinstance(statement, Insert | Update) and (table := _target(statement)) is not None:
        raise StatementRefused(
            f"lambda_stmt() cannot write to {table.table.fullname}, which has encrypted columns: "
            "execute the insert() or update() itself"
        )


def _target(statement: Insert | Update) -> EncryptedTable | None:
    """Return the table that is written, if it has encrypted columns."""
    target = dml.target_of(statement)
    table = encrypted_table(target)
    if table is None and not isinstance(target, Table) and any(map(is_encrypted, target.c)):
        raise StatementRefused(
            f"{target.description} is not a table of its own, so the rows it writes to have no "
            "known key: insert into or update the table itself, not an alias of it"
        )
    return table
