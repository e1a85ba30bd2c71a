"""UPDATE: find the row that each parameter set writes to, and encrypt for it."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vaultdb.errors import StatementRefused
from vaultdb.orm.writing.columns import check_same_columns, names_of, refuse_companions
from vaultdb.orm.writing.defaults import fill_in
from vaultdb.orm.writing.encryption import encrypt_rows, refuse_expressions
from vaultdb.orm.writing.keys import Bindings, encode_keys
from vaultdb.orm.writing.pins import Pins, find_pins, pinned_value
from vaultdb.orm.writing.plaintext import refuse_plaintext_alone
from vaultdb.orm.writing.rowcount import PinnedParameters
from vaultdb.orm.writing.subjects import Subjects, subject_columns, subjects_of_update
from vaultdb.orm.writing.values import bind_names, inline_values, is_expression, move_into_rows

if TYPE_CHECKING:
    from vaultdb.orm.writing.table import EncryptedColumn, EncryptedTable
    from vaultdb.orm.writing.write import Write


def encrypt_update(write: Write) -> Any:
    """Return the statement to execute; `write.parameters` are encrypted in place.

    Raises:
        StatementRefused: the rows that are written are not known, `SET a = b`, or a new key without
            the values that are bound to it.

    """
    table, rows = write.table, write.parameters
    inline = inline_values(write)
    refuse_companions(table, rows[0], inline)
    is_set = inline.keys() | (rows[0].keys() & table.table.c.keys())
    given = [column for key, column in table.columns.items() if key in is_set]
    renewed = _renewed(table, is_set)
    new_keys = [column.key for column in table.key_columns if column.key in is_set]
    plain_keys = [key for key in table.adopted if key in is_set]
    if plain_keys:
        move_into_rows(write, inline, plain_keys)
        refuse_plaintext_alone(write, rows, given + renewed)
    new_subjects = [c.key for c in subject_columns(table.columns.values()) if c.key in is_set]
    if not (given or renewed or new_keys or new_subjects):
        return write.statement
    move_into_rows(write, inline, [*table.columns, *table.tenant_keys, *new_keys, *new_subjects])
    check_same_columns(rows, given, table.columns)
    refuse_expressions(rows, given)
    if renewed or new_keys or _holds_bound_value(write, given):
        bindings = _bind(write, given + renewed, new_keys)
    else:
        bindings = {}
    context = [column for column in table.renewing_columns if column.key not in is_set]
    fill_in(write, rows, [column.column for column in renewed] + context)
    encrypt_rows(write, rows, given + renewed, bindings, _subjects(write, given + renewed, is_set))
    return write.statement


def _subjects(
    write: Write, written: Sequence[EncryptedColumn], is_set: Collection[str]
) -> Subjects:
    if not subject_columns(write.table.columns.values()):
        return {}
    pins = find_pins(write.statement, write.table)
    pinned = [
        {key: pinned_value(bind, row) for key, bind in pins.items()} for row in write.parameters
    ]
    return subjects_of_update(write, written, pinned, is_set=is_set)


def _renewed(table: EncryptedTable, is_set: set[str]) -> list[EncryptedColumn]:
    """Return the columns that an onupdate sets."""
    return [
        column
        for key, column in table.columns.items()
        if is_set and key not in is_set and column.column.onupdate is not None
    ]


def _holds_bound_value(write: Write, columns: Sequence[EncryptedColumn]) -> bool:
    """Return whether anything but NULL is written: erasing values needs no key."""
    keys = [column.key for column in columns if column.row_key is not None]
    return any(row[key] is not None for row in write.parameters for key in keys)


def _bind(write: Write, written: Sequence[EncryptedColumn], new_keys: Sequence[str]) -> Bindings:
    """Return the row bindings of the rows as they will be after the UPDATE."""
    rows = write.parameters
    bound = [column for column in written if column.row_key is not None]
    if not bound and not new_keys:
        return {}
    pins = find_pins(write.statement, write.table)
    _check_pinned(pins, bound or write.table.bound)
    _refuse_overridden_pins(write, pins)
    before = [{key: pinned_value(bind, row) for key, bind in pins.items()} for row in rows]
    after = before
    if new_keys:
        _refuse_computed_keys(write, new_keys)
        after = [
            key | {name: row[name] for name in new_keys}
            for key, row in zip(before, rows, strict=True)
        ]
        _check_complete(write, before, after, written)
    rows[0] = PinnedParameters(rows[0])
    return encode_keys(bound, after)


def _check_pinned(pinned: Container[str], columns: Sequence[EncryptedColumn]) -> None:
    needed = {key: None for column in columns if column.row_key for key in column.row_key.columns}
    missing = [column for column in needed if column.key not in pinned]
    if missing:
        raise StatementRefused(
            f"an UPDATE of {names_of(c.column for c in columns)} must name its row, because the "
            f"values are bound to it: add {' and '.join(f'{c} = value' for c in missing)} to the "
            "top level of WHERE, or load the objects and change them"
        )


def _refuse_overridden_pins(write: Write, pins: Pins) -> None:
    """Refuse parameters that SQLAlchemy could take for an anonymous bind of the WHERE clause."""
    named = {bind.key for bind in pins.values() if not bind.unique}
    extra = write.parameters[0].keys() - set(write.table.table.c.keys()) - named
    if extra and extra - set(bind_names(write.statement)):
        raise StatementRefused(
            f"{', '.join(sorted(extra))}: neither a column of {write.table.table.fullname} nor a "
            "bindparam() of the statement; leave it out"
        )


def _refuse_computed_keys(write: Write, keys: Sequence[str]) -> None:
    for key in keys:
        if any(is_expression(row[key]) for row in write.parameters):
            raise StatementRefused(
                f"the new {write.table.table.c[key]} is SQL, so the row that encrypted values are "
                "bound to is not known: set it to a plain value"
            )


def _check_complete(
    write: Write,
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    written: Sequence[EncryptedColumn],
) -> None:
    """Refuse a new key for a row whose other values would stay bound to the old one."""
    left = [column for column in write.table.bound if column not in written]
    _check_pinned(before[0], left)
    if encode_keys(left, before) != encode_keys(left, after):
        raise StatementRefused(
            f"changing the key of {write.table.table.fullname} needs every value that is bound to "
            f"it in the same UPDATE: set {names_of(c.column for c in left)} too (on a loaded "
            "object with sqlalchemy.orm.attributes.flag_modified)"
        )
