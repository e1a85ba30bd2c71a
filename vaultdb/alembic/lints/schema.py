"""The schema as the revisions have made it so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vaultdb.alembic.covering import covers_tokens
from vaultdb.alembic.lints import events
from vaultdb.alembic.lints.events import Constraint, Event, NewColumn
from vaultdb.alembic.lints.finding import Place
from vaultdb.alembic.lints.reader import Name

DEFAULT = "public"


@dataclass(slots=True)
class TableState:
    """One table."""

    created: Place
    columns: set[str] = field(default_factory=set)
    encrypted: dict[str, Place] = field(default_factory=dict)
    """Columns of envelopes, and what gave them their storage last."""
    external: set[str] = field(default_factory=set)
    key: tuple[str, ...] = ()
    constraints: list[tuple[Constraint, Place]] = field(default_factory=list)
    secured: Place | None = None
    """Where row-level security was enabled, or was last no longer forced."""
    forced: bool = False


class Schema:
    """Tables by name, changed by one event after the other."""

    def __init__(self) -> None:
        self.tables: dict[Name, TableState] = {}
        self.definers: set[Name] = set()

    def table(self, name: Name) -> TableState | None:
        """Return a table; without a schema it is looked for in the default one too."""
        return self.tables.get(full_name(name))

    def encrypted(self) -> Iterator[tuple[Name, TableState]]:
        """Return the tables with encrypted columns."""
        return ((name, table) for name, table in self.tables.items() if table.encrypted)

    def apply(self, event: Event, place: Place) -> None:
        """Change what the event changes."""
        match event:
            case events.TableCreated():
                self._create(event, place)
            case events.TableDropped(table):
                self.tables.pop(full_name(table), None)
            case events.TableRenamed(table, to):
                if full_name(table) in self.tables:
                    self.tables[full_name(to)] = self.tables.pop(full_name(table))
            case events.FunctionChanged(name, is_definer, _, _):
                if is_definer is True:
                    self.definers.add(full_name(name))
                elif is_definer is False:
                    self.definers.discard(full_name(name))
            case _:
                state = self.table(getattr(event, "table", ()))
                if state is not None:
                    _change(state, event, place)

    def _create(self, event: events.TableCreated, place: Place) -> None:
        state = self.tables[full_name(event.table)] = TableState(place)
        for column in event.columns:
            _add(state, column, place)
        for constraint in event.constraints:
            _constrain(state, constraint, place)


def full_name(name: Name) -> Name:
    """Return a table's name with its schema."""
    return name if len(name) > 1 else (DEFAULT, *name)


def shown(name: Name) -> str:
    """Return a name as it is written in messages."""
    return ".".join(name).removeprefix(f"{DEFAULT}.")


def _change(state: TableState, event: Event, place: Place) -> None:
    match event:
        case events.ColumnAdded(_, column):
            _add(state, column, place)
        case events.ColumnDropped(_, column):
            state.columns.discard(column)
            state.encrypted.pop(column, None)
            state.constraints = [
                each for each in state.constraints if column not in each[0].columns
            ]
        case events.ColumnRenamed(_, column, to):
            _rename(state, column, to)
        case events.TypeChanged(_, column, True):
            state.encrypted[column] = place
            state.external.add(column)  # one finding is enough
        case events.StorageSet(_, column, storage):
            _store(state, column, storage, place)
        case events.RowSecuritySet(_, enabled, forced):
            _secure(state, enabled, forced, place)
        case _:
            _change_constraint(state, event, place)


def _change_constraint(state: TableState, event: Event, place: Place) -> None:
    match event:
        case events.ConstraintAdded(_, constraint):
            _constrain(state, constraint, place)
        case events.ConstraintValidated(_, name):
            state.constraints = [_validated(each, name) for each in state.constraints]
        case events.ConstraintDropped(_, name):
            state.constraints = [each for each in state.constraints if each[0].name != name]
        case _:
            pass


def _store(state: TableState, column: str, storage: str, place: Place) -> None:
    state.external.discard(column)
    if storage == "external":
        state.external.add(column)
    if column in state.encrypted:
        state.encrypted[column] = place


def _secure(state: TableState, enabled: bool | None, forced: bool | None, place: Place) -> None:
    if enabled is not None:
        state.secured = place if enabled else None
    if forced is not None:
        state.forced = forced
        if state.secured is not None and not forced:
            state.secured = place


def _add(state: TableState, column: NewColumn, place: Place) -> None:
    state.columns.add(column.name)
    if column.is_envelope:
        state.encrypted[column.name] = place
    if column.storage == "external":
        state.external.add(column.name)
    for constraint in column.constraints:
        _constrain(state, constraint, place)


def _constrain(state: TableState, constraint: Constraint, place: Place) -> None:
    state.constraints.append((constraint, place))
    if constraint.kind == "primary":
        state.key = constraint.columns


def _rename(state: TableState, column: str, to: str) -> None:
    if column in state.columns:
        state.columns = state.columns - {column} | {to}
    if column in state.encrypted:
        state.encrypted[to] = state.encrypted.pop(column)
    if column in state.external:
        state.external = state.external - {column} | {to}
    state.key = tuple(to if each == column else each for each in state.key)


def _validated(entry: tuple[Constraint, Place], name: str) -> tuple[Constraint, Place]:
    constraint, place = entry
    if constraint.name != name:
        return entry
    return (
        Constraint(
            constraint.kind,
            constraint.columns,
            constraint.name,
            constraint.on_update,
            constraint.condition,
        ),
        place,
    )


def is_covered(state: TableState, plain: str, encrypted: str) -> bool:
    """Tell whether a validated CHECK says that no plaintext is without its ciphertext."""
    return any(
        constraint.kind == "check"
        and constraint.is_validated
        and covers_tokens(constraint.condition, plain, encrypted)
        for constraint, _ in state.constraints
    )


def foreign_keys(state: TableState, columns: Iterable[str]) -> Iterator[tuple[Constraint, Place]]:
    """Return the foreign keys that one of these columns is part of."""
    wanted = set(columns)
    for constraint, place in state.constraints:
        if constraint.kind == "foreign" and wanted.intersection(constraint.columns):
            yield constraint, place
