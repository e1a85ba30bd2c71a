"""Writes of encrypted columns: which keys encrypted the values before and after, never a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from sqlalchemy import select, tuple_

from vaultdb.audit.auditor import AuditMode
from vaultdb.audit.event import Event, Json
from vaultdb.audit.kinds import DATA_WRITTEN
from vaultdb.audit.row_name import RowName
from vaultdb.errors import StatementRefused
from vaultdb.orm.auditing.plan import INTERNAL, OURS
from vaultdb.orm.auditing.sign_in import who_acts
from vaultdb.orm.writing import dml
from vaultdb.orm.writing.keys import Bindings, encode_keys
from vaultdb.orm.writing.pins import find_pins, pinned_value
from vaultdb.orm.writing.stored_key_id import StoredKeyId
from vaultdb.orm.writing.values import bind_names

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, CursorResult

    from vaultdb.audit.auditor import Auditor
    from vaultdb.orm.runtime import Runtime
    from vaultdb.orm.writing.table import EncryptedColumn, EncryptedTable

Row = dict[str, Any]

_KEY_ID: Final = slice(2, 18)


class Written:
    """What one statement writes, as far as it is known.

    Args:
        auditor: of the engine.
        connection: where it runs.
        table: the target.
        operation: insert, update, upsert, delete or copy.

    Raises:
        PrincipalMissing: nobody acts, and no service principal is configured.
        AuditUnavailable: the log has not been written for a while.

    """

    __slots__ = (
        "_acting",
        "_after",
        "_auditor",
        "_before",
        "_columns",
        "_keys",
        "_operation",
        "_table",
    )

    def __init__(
        self, auditor: Auditor, connection: Connection, table: EncryptedTable, operation: str
    ) -> None:
        self._auditor = auditor
        self._table = table
        self._operation = operation
        self._acting = who_acts(auditor, connection)
        self._columns: dict[EncryptedColumn, None] = {}
        self._keys: dict[RowName, None] = {}
        self._before: set[str] = set()
        self._after: set[str] = set()

    def encrypted(
        self, rows: Sequence[Row], columns: Sequence[EncryptedColumn], bindings: Bindings
    ) -> None:
        """Take in rows whose values were just encrypted.

        Args:
            rows: with envelopes, or None, for each column.
            columns: that are written.
            bindings: the row bindings of the rows.

        """
        for column in columns:
            self._columns[column] = None
            envelopes = (row[column.key] for row in rows)
            self._after |= {each[_KEY_ID].hex() for each in envelopes if each is not None}
        for bound in list(bindings.values())[:1]:
            self._name_rows(bound)

    def look_before(
        self,
        connection: Connection,
        statement: Any,
        rows: Sequence[Row],
        options: Mapping[str, Any],
    ) -> None:
        """Ask under which keys the values stand that an UPDATE or DELETE replaces.

        Args:
            connection: where the statement will run.
            statement: the UPDATE or DELETE.
            rows: its parameter sets.
            options: of the execution.

        """
        if statement.is_delete:
            self._columns = dict.fromkeys(self._table.columns.values())
        pinned = self._pinned(statement, rows)
        if pinned:
            self._name_rows(pinned)
        for query, parameters in _queries_before(self._table, statement, rows, list(self._columns)):
            limited = query.limit(self._auditor.key_limit + 1)
            found = connection.execute(limited, parameters, execution_options=_internal(options))
            for key_ids in found:
                self._before |= {bytes(each).hex() for each in key_ids if each is not None}

    def event(self, rows: int, tenant: str | None) -> Event:
        """Return what goes to the log, once it is known how many rows there were."""
        limit = self._auditor.key_limit
        keys = list(self._keys)
        fields: dict[str, Json] = {
            "operation": self._operation,
            "table": self._table.table.fullname,
            "columns": sorted(each.column.name for each in self._columns),
            "rows": rows,
            "keys": keys[:limit],
            "more": rows > len(keys[:limit]) or None,
            "before": sorted(self._before)[:limit] or None,
            "after": sorted(self._after)[:limit] or None,
        }
        return Event(DATA_WRITTEN, fields, self._acting, tenant or None)

    @property
    def is_empty(self) -> bool:
        """Whether no encrypted column is written."""
        return not self._columns

    def send(self, connection: Connection, rows: int, tenant: str | None) -> None:
        """Record the write in the transaction of the connection."""
        self._auditor.write(connection, self.event(rows, tenant))

    def _name_rows(self, bound: Sequence[bytes]) -> None:
        missing = self._auditor.key_limit + 1 - len(self._keys)
        for key in bound[: max(missing, 0)]:
            self._keys[RowName(self._table.table.fullname, key)] = None

    def _pinned(self, statement: Any, rows: Sequence[Row]) -> Sequence[bytes]:
        pins = find_pins(statement, self._table)
        bound = self._table.bound[:1]
        if not bound or not all(column.key in pins for column in self._table.key_columns):
            return ()
        limited = rows[: self._auditor.key_limit + 1]
        values = [{key: pinned_value(bind, row) for key, bind in pins.items()} for row in limited]
        try:
            return encode_keys(bound, values)[bound[0].row_key]
        except StatementRefused:
            return ()  # a NULL key matches no row


def watch(
    runtime: Runtime, connection: Connection, table: EncryptedTable, operation: str
) -> Written | None:
    """Return what takes in the write of a statement; None where no log is kept.

    Args:
        runtime: of the engine.
        connection: where it runs.
        table: the target.
        operation: insert, update, upsert, delete or copy.

    Raises:
        PrincipalMissing: nobody acts, and no service principal is configured.

    """
    auditor = runtime.auditor
    if auditor.mode is AuditMode.OFF:
        return None
    return Written(auditor, connection, table, operation)


_awaiting: WeakKeyDictionary[Connection, tuple[Any, Written, str | None, int]] = WeakKeyDictionary()


def await_result(
    connection: Connection, statement: Any, written: Written, tenant: str | None, rows: int
) -> None:
    """Have a write recorded as soon as the statement was executed."""
    _awaiting[connection] = (statement, written, tenant, rows)


def record_result(
    connection: Connection,
    statement: Any,
    _many: Any,
    _single: Any,
    _options: Any,
    result: CursorResult[Any],
) -> None:
    """Record the write that this execution was; the `after_execute` listener."""
    found = _awaiting.pop(connection, None)
    if found is None or found[0] is not statement:
        return
    _, written, tenant, sets = found
    rows = result.rowcount
    written.send(connection, rows if rows >= 0 else sets, tenant)


def operation_of(statement: Any) -> str:
    """Return what the log calls an INSERT, UPDATE or DELETE."""
    if statement.is_insert:
        return "insert" if getattr(statement, "_post_values_clause", None) is None else "upsert"
    return "update" if statement.is_update else "delete"


def _queries_before(
    table: EncryptedTable, statement: Any, rows: Sequence[Row], columns: Sequence[EncryptedColumn]
) -> list[tuple[Any, Row]]:
    """Return the queries for the ids of the keys, and their parameters; one if it can be."""
    query = select(*(StoredKeyId(each.column) for each in columns))
    query = query.distinct().select_from(table.table)
    if len(rows) > 1:
        pins = find_pins(statement, table)
        keys = [column for column in table.key_columns if column.key in pins]
        if keys and len(keys) == len(table.key_columns):
            wanted = [tuple(pinned_value(pins[key.key], row) for key in keys) for row in rows]
            if len(keys) == 1:
                return [(query.where(keys[0].in_([each[0] for each in wanted])), {})]
            return [(query.where(tuple_(*keys).in_(wanted)), {})]
    query = query.where(*dml.where_criteria(statement))
    names = bind_names(query)
    return [(query, {name: row[name] for name in names if name in row}) for row in rows]


def _internal(options: Mapping[str, Any]) -> dict[str, Any]:
    translate = options.get("schema_translate_map")
    internal: dict[str, Any] = {INTERNAL: OURS}
    return internal if translate is None else internal | {"schema_translate_map": translate}
