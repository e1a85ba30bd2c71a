"""The parts of SQLAlchemy's INSERT and UPDATE that it has no public names for, in one place.

Checked against SQLAlchemy 2.0.40 and 2.1. Statements are never changed: each function that changes
something returns a copy, made by SQLAlchemy's own way of copying, with the same cache key for the
same change.
"""

# ruff: noqa: SLF001
from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BindParameter, util

Pair = tuple[Any, Any]


def without_annotations(element: Any) -> Any:
    """Return the element itself for a copy that the ORM has annotated."""
    return element._deannotate() if element._annotations else element


def resolved(statement: Any) -> Any:
    """Return the statement of a `lambda_stmt()`; its values are those of the first call."""
    return statement._resolved


def target_of(statement: Any) -> Any:
    """Return what the statement writes to.

    In bulk operations on joined inheritance the ORM names one table of several in an annotation.
    """
    annotations = statement._annotations
    target = annotations.get("_emit_insert_table", annotations.get("_emit_update_table"))
    return without_annotations(statement.table if target is None else target)


def select_names(statement: Any) -> Collection[Any]:
    """Return the columns of INSERT FROM SELECT; empty for any other statement."""
    return statement._select_names or ()


def where_criteria(statement: Any) -> Sequence[Any]:
    """Return the terms of WHERE, which AND joins."""
    criteria: Sequence[Any] = statement._where_criteria
    return criteria


def inline_pairs(statement: Any) -> list[Pair]:
    """Return what `values()` or `ordered_values()` was given, in order."""
    ordered = getattr(statement, "_ordered_values", None)  # SQLAlchemy 2.0
    return list((statement._values or {}).items() if ordered is None else ordered)


def keeps_order(statement: Any) -> bool:
    """Return whether the statement has `ordered_values()`."""
    return getattr(statement, "_ordered_values", None) is not None or getattr(
        statement, "_maintain_values_ordering", False
    )


def with_inline_pairs(statement: Any, pairs: Sequence[Pair]) -> Any:
    """Return a copy with other values in `values()`."""
    copy = statement._clone()
    if getattr(statement, "_ordered_values", None) is not None:
        copy._ordered_values = list(pairs)
    else:
        copy._values = util.immutabledict(pairs) or None
    return copy


def value_rows(statement: Any) -> list[Any]:
    """Return the rows of `values([...])`: mappings, or sequences by position."""
    return [row for group in statement._multi_values for row in group]


def with_value_rows(statement: Any, rows: Sequence[dict[str, Any]]) -> Any:
    """Return a copy with other rows in `values([...])`."""
    copy = statement._clone()
    copy._multi_values = (list(rows),)
    return copy


def conflict_clause(statement: Any) -> Any:
    """Return the ON CONFLICT clause of an INSERT, or None."""
    return getattr(statement, "_post_values_clause", None)


def conflict_pairs(clause: Any) -> list[Pair] | None:
    """Return what DO UPDATE sets; None for DO NOTHING."""
    pairs = getattr(clause, "update_values_to_set", None)
    if pairs is None:
        return None
    return list(pairs.items() if hasattr(pairs, "items") else pairs)  # a list in SQLAlchemy 2.0


def with_conflict_pairs(statement: Any, pairs: Sequence[Pair]) -> Any:
    """Return a copy whose DO UPDATE sets something else."""
    copy = statement._clone()
    before = conflict_clause(statement)
    clause = before._clone()
    as_dict = hasattr(before.update_values_to_set, "items")
    clause.update_values_to_set = dict(pairs) if as_dict else list(pairs)
    copy._post_values_clause = clause
    return copy


def anonymous_bind(type_: Any) -> BindParameter[Any]:
    """Return a bind that keeps a place in `values()` and takes the parameter of its column."""
    return BindParameter(None, None, type_=type_, unique=True)
