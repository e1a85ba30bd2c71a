"""Rules about encrypted columns, their plaintext and their keys."""

from __future__ import annotations

from collections.abc import Iterator

from vaultdb.alembic.lints import events
from vaultdb.alembic.lints.events import Constraint, Event
from vaultdb.alembic.lints.finding import Pair, Problem
from vaultdb.alembic.lints.models import Models, partner
from vaultdb.alembic.lints.reader import Name
from vaultdb.alembic.lints.schema import (
    Schema,
    TableState,
    foreign_keys,
    full_name,
    is_covered,
    shown,
)

_COMPARING = {
    "primary": "a primary key",
    "unique": "a unique constraint",
    "exclude": "an exclusion",
}
_KEEPING = ("", "no action", "restrict")


def problems_of_columns(event: Event, schema: Schema, models: Models) -> Iterator[Problem]:
    """Return what an event does to columns that it must not; `schema` is as it was before."""
    name: Name = getattr(event, "table", ())
    state = schema.table(name)
    match event:
        case events.TypeChanged(_, column, is_envelope):
            yield from _type_changed(name, column, state, models, is_envelope=is_envelope)
        case events.IndexCreated(_, names) if state is not None:
            for column in sorted(set(names).intersection(state.encrypted)):
                yield Problem("index-on-ciphertext", f"an index over {_of(name, column)}")
        case events.ConstraintAdded(_, constraint) if state is not None:
            yield from _constrained(name, constraint, set(state.encrypted))
        case events.TableCreated(_, columns, constraints):
            encrypted = {column.name for column in columns if column.is_envelope}
            own = [each for column in columns for each in column.constraints]
            for constraint in [*own, *constraints]:
                yield from _constrained(name, constraint, encrypted)
        case events.ColumnAdded(_, column) if column.is_envelope:
            for constraint in column.constraints:
                yield from _constrained(name, constraint, {column.name})
        case events.ColumnDropped(_, column) if state is not None:
            yield from _dropped(name, column, state, models)
        case _:
            pass


def _type_changed(
    name: Name, column: str, state: TableState | None, models: Models, *, is_envelope: bool
) -> Iterator[Problem]:
    is_encrypted = state is not None and column in state.encrypted
    if is_envelope != is_encrypted:
        becomes = "becomes" if is_envelope else "stops being"
        message = f"the type of {_of(name, column)} {becomes} that of encrypted values"
        yield Problem("alter-type-of-encrypted", message)
    elif is_encrypted:
        yield Problem("alter-type-of-encrypted", f"the type of {_of(name, column)} is changed")
    if state is not None and column in _bound_key(name, state, models):
        message = f"the type of {_of(name, column)} is changed, which values are bound to"
        yield Problem("bound-key-changed", message)


def _constrained(name: Name, constraint: Constraint, encrypted: set[str]) -> Iterator[Problem]:
    what = _COMPARING.get(constraint.kind)
    if what is None:
        return
    for column in sorted(encrypted.intersection(constraint.columns)):
        yield Problem("index-on-ciphertext", f"{what} over {_of(name, column)}")


def _dropped(name: Name, column: str, state: TableState, models: Models) -> Iterator[Problem]:
    encrypted = partner(column, state.encrypted, models.replaced(full_name(name)))
    if column in state.encrypted or encrypted is None or is_covered(state, column, encrypted):
        return
    message = (
        f"{_of(name, column)} is dropped, and no validated check says that {encrypted} is full"
    )
    pair = Pair(name, column, encrypted)
    yield Problem("plaintext-dropped-early", message, pair=pair)


def problems_in_the_end(schema: Schema, models: Models) -> Iterator[Problem]:
    """Return what no later revision has put right."""
    for name, state in schema.tables.items():
        for column, place in state.encrypted.items():
            if column not in state.external:
                message = f"{_of(name, column)} is compressed, which ciphertext does not yield to"
                yield Problem("storage-not-external", message, place)
        if not state.encrypted:
            continue
        for constraint, place in foreign_keys(state, _bound_key(name, state, models)):
            if constraint.on_update not in _KEEPING:
                message = (
                    f"{_of(name, constraint.columns[0])}, which values are bound to, is changed by"
                    f" ON UPDATE {constraint.on_update.upper()}"
                )
                yield Problem("bound-key-changed", message, place)


def _bound_key(name: Name, state: TableState, models: Models) -> set[str]:
    if not state.encrypted:
        return set()
    declared = models.bound_key(full_name(name))
    return set(state.key) if declared is None else declared


def _of(name: Name, column: str) -> str:
    return shown((*name, column))
