"""The `before_execute` listener: encrypts what INSERT and UPDATE write.

It sees a statement before SQLAlchemy compiles it and binds its parameters, so that no plaintext
reaches a parameter set, an echoed log or an error. What it returns is a function of the statement's
shape alone: SQLAlchemy's cache of compiled statements works as without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, event
from sqlalchemy.sql.dml import Insert, Update
from sqlalchemy.sql.lambdas import LambdaElement

from vaultdb.errors import StatementRefused
from vaultdb.orm.types import is_encrypted
from vaultdb.orm.writing import dml
from vaultdb.orm.writing.insert import encrypt_insert
from vaultdb.orm.writing.rowcount import check_rowcount
from vaultdb.orm.writing.table import EncryptedTable, encrypted_table
from vaultdb.orm.writing.update import encrypt_update
from vaultdb.orm.writing.write import Write

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

Parameters = dict[str, Any]


def intercept_writes(engine: Engine) -> None:
    """Encrypt what is written through this engine; a second call changes nothing."""
    if not event.contains(engine, "before_execute", _before_execute):
        event.listen(engine, "before_execute", _before_execute, retval=True)
        event.listen(engine, "after_execute", check_rowcount)


def _before_execute(
    connection: Connection,
    statement: Any,
    many: Sequence[Parameters],
    single: Parameters,
    options: Mapping[str, Any],
) -> tuple[Any, Sequence[Parameters], Parameters]:
    if isinstance(statement, LambdaElement):
        _refuse_lambda(dml.resolved(statement))
    if not isinstance(statement, Insert | Update):
        return statement, many, single
    table = _target(statement)
    if table is None:
        return statement, many, single
    rows = [dict(row) for row in many] if many else [dict(single)]
    write = Write(connection, table, statement, rows, options)
    statement = encrypt_insert(write) if isinstance(statement, Insert) else encrypt_update(write)
    return (statement, write.parameters, {}) if many else (statement, [], write.parameters[0])


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
