"""Read CREATE TABLE, ALTER TABLE, DROP TABLE and CREATE INDEX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vaultdb.alembic.lints import events
from vaultdb.alembic.lints.events import Constraint, Event, NewColumn
from vaultdb.alembic.lints.reader import (
    Name,
    Reader,
    has_words,
    identifiers,
    position_of,
    separated,
)
from vaultdb.alembic.sql_tokens import Token

_CONSTRAINT_STARTS = ("constraint", "unique", "primary", "foreign", "check", "exclude")
_AFTER_TYPE = (
    "constraint", "not", "null", "default", "check", "unique", "primary", "references",
    "generated", "collate", "storage", "compression", "using",
)  # fmt: skip
_KINDS = {
    "primary": "primary", "unique": "unique", "foreign": "foreign", "references": "foreign",
    "check": "check", "exclude": "exclude",
}  # fmt: skip
_ENVELOPE = "envelope"


def read_table(reader: Reader) -> Iterator[Event]:
    """Read a statement about tables."""
    if reader.take("drop", "table"):
        reader.take("if", "exists")
        for part in separated(reader.until("cascade", "restrict")):
            yield events.TableDropped(Reader(part).name())
    elif reader.take("alter", "table"):
        yield from _altered(reader)
    elif reader.take("create"):
        reader.take_any("global", "local", "temporary", "temp", "unlogged", "foreign")
        if reader.take("table"):
            yield from _created(reader)
        elif reader.take("unique", "index") or reader.take("index"):
            yield from _indexed(reader)


def _created(reader: Reader) -> Iterator[Event]:
    reader.take("if", "not", "exists")
    table = reader.name()
    columns, constraints = [], []
    for part in separated(reader.group()):
        inner = Reader(part)
        if part[0].is_word("like"):
            continue
        if part[0].is_word(*_CONSTRAINT_STARTS):
            constraints.append(_constraint(part))
        else:
            columns.append(_column(inner))
    yield events.TableCreated(table, tuple(columns), tuple(constraints))


def _indexed(reader: Reader) -> Iterator[Event]:
    reader.until("on")
    reader.take("on")
    reader.take("only")
    table = reader.name()
    if reader.take("using"):
        reader.identifier()
    yield events.IndexCreated(table, tuple(identifiers(reader.group())))


def _altered(reader: Reader) -> Iterator[Event]:
    reader.take("if", "exists")
    reader.take("only")
    table = reader.name()
    reader.mark("*")
    for part in separated(reader.rest()):
        yield from _action(table, Reader(part), part)


def _action(table: Name, reader: Reader, tokens: Sequence[Token]) -> Iterator[Event]:
    if reader.take("add"):
        if reader.next is not None and reader.next.is_word(*_CONSTRAINT_STARTS):
            yield events.ConstraintAdded(table, _constraint(tokens[1:]))
        else:
            reader.take("column")
            reader.take("if", "not", "exists")
            yield events.ColumnAdded(table, _column(reader))
    elif reader.take("drop"):
        yield from _dropped(table, reader)
    elif reader.take("alter"):
        yield from _changed(table, reader)
    elif reader.take("validate", "constraint"):
        yield events.ConstraintValidated(table, reader.identifier() or "")
    elif reader.take("rename"):
        yield from _renamed(table, reader)
    elif reader.take("set", "schema"):
        yield events.TableRenamed(table, (reader.identifier() or "", table[-1]))
    else:
        yield from _row_security(table, reader)


def _dropped(table: Name, reader: Reader) -> Iterator[Event]:
    if reader.take("constraint"):
        reader.take("if", "exists")
        yield events.ConstraintDropped(table, reader.identifier() or "")
        return
    reader.take("column")
    reader.take("if", "exists")
    yield events.ColumnDropped(table, reader.identifier() or "")


def _changed(table: Name, reader: Reader) -> Iterator[Event]:
    reader.take("column")
    column = reader.identifier() or ""
    if reader.take("set", "data", "type") or reader.take("type"):
        yield events.TypeChanged(table, column, _is_envelope(reader.until(*_AFTER_TYPE)))
    elif reader.take("set", "storage"):
        yield events.StorageSet(table, column, reader.identifier() or "")


def _renamed(table: Name, reader: Reader) -> Iterator[Event]:
    if reader.take("constraint"):
        return
    if reader.take("to"):
        yield events.TableRenamed(table, (*table[:-1], reader.identifier() or ""))
        return
    reader.take("column")
    column = reader.identifier() or ""
    reader.take("to")
    yield events.ColumnRenamed(table, column, reader.identifier() or "")


def _row_security(table: Name, reader: Reader) -> Iterator[Event]:
    words = identifiers(reader.rest())
    if words[-3:] != ["row", "level", "security"]:
        return
    match words[:-3]:
        case ["enable"]:
            yield events.RowSecuritySet(table, enabled=True)
        case ["disable"]:
            yield events.RowSecuritySet(table, enabled=False)
        case ["force"]:
            yield events.RowSecuritySet(table, forced=True)
        case ["no", "force"]:
            yield events.RowSecuritySet(table, forced=False)


def _column(reader: Reader) -> NewColumn:
    name = reader.identifier() or ""
    type_ = reader.until(*_AFTER_TYPE)
    rest = reader.rest()
    storage = position_of(rest, "storage")
    stored = rest[storage + 1].text if storage is not None and storage + 1 < len(rest) else ""
    constraints = tuple(
        Constraint(_KINDS[start], (name,), on_update=_on_update(rest))
        for start in ("primary", "unique", "references")
        if has_words(rest, start)
    )
    return NewColumn(name, _is_envelope(type_), constraints, stored)


def _constraint(tokens: Sequence[Token]) -> Constraint:
    reader = Reader(tokens)
    name = reader.identifier() if reader.take("constraint") else None
    kind = _KINDS.get(reader.identifier() or "", "")
    reader.take("key")
    reader.until_group()
    inner = reader.group()
    rest = reader.rest()
    return Constraint(
        kind,
        tuple(identifiers(inner)),
        name,
        _on_update(rest),
        tuple(inner),
        is_validated=not has_words(rest, "not", "valid"),
    )


def _on_update(tokens: Sequence[Token]) -> str:
    start = position_of(tokens, "on", "update")
    words = identifiers(tokens[start + 2 : start + 4]) if start is not None else []
    return " ".join(words if words[:1] in (["set"], ["no"]) else words[:1])


def _is_envelope(type_: Sequence[Token]) -> bool:
    name = Reader(type_).name()
    return name in ((_ENVELOPE,), ("vaultdb", _ENVELOPE))
