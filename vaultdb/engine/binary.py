"""Fetching the results of encrypted columns in binary, where every type allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.pq import Format
from sqlalchemy import event

from vaultdb.db.cursor import ask_for_binary_results
from vaultdb.orm.binary_results import note_result_types, wants_binary, wants_result_types

if TYPE_CHECKING:
    from sqlalchemy import Engine


def fetch_in_binary(engine: Engine) -> None:
    """Let statements with encrypted columns fetch in binary from their second execution on.

    Args:
        engine: on psycopg 3, with vaultdb's cursors.

    """
    event.listen(engine, "before_cursor_execute", _ask)
    event.listen(engine, "after_cursor_execute", _learn)


def _ask(_connection: Any, cursor: Any, _sql: Any, _values: Any, context: Any, _many: Any) -> None:
    if wants_binary(context):
        ask_for_binary_results(cursor)


def _learn(
    _connection: Any, cursor: Any, _sql: Any, _values: Any, context: Any, _many: Any
) -> None:
    if not wants_result_types(context):
        return
    result = getattr(getattr(cursor, "_cursor", cursor), "pgresult", None)
    if result is None or result.nfields == 0:
        return
    oids = [result.ftype(place) for place in range(result.nfields)]
    note_result_types(context, oids, binary=result.fformat(0) == Format.BINARY)
