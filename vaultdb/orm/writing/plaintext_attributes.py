"""Mapped plaintext columns in a flush: the attribute follows that of the encrypted column.

The interceptor would write the same, but the object would not know, and a merge of it would bring
an old plaintext back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import inspect

from vaultdb.orm.writing.table import encrypted_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Mapper

_pairs: WeakKeyDictionary[Mapper[Any], tuple[tuple[str, str, bool], ...]] = WeakKeyDictionary()
"""For each mapper: the attributes of encrypted columns, those of the plaintext that they adopt, and
whether that is emptied."""


def follow_new(mapper: Mapper[Any], target: Any) -> None:
    """Give a new object's plaintext attributes what is going to be inserted."""
    for encrypted, plain, is_emptied in _adopting(mapper):
        value = target.__dict__.get(encrypted)
        if not is_emptied and value is not None and target.__dict__.get(plain) is None:
            setattr(target, plain, value)


def follow_changed(mapper: Mapper[Any], target: Any) -> None:
    """Give a changed object's plaintext attributes what is going to be updated."""
    for encrypted, plain, is_emptied in _adopting(mapper):
        attributes = inspect(target).attrs
        if attributes[encrypted].history.has_changes() and not (
            attributes[plain].history.has_changes()
        ):
            setattr(target, plain, None if is_emptied else target.__dict__.get(encrypted))


def _adopting(mapper: Mapper[Any]) -> tuple[tuple[str, str, bool], ...]:
    pairs = _pairs.get(mapper)
    if pairs is None:
        pairs = _pairs[mapper] = tuple(_find(mapper))
    return pairs


def _find(mapper: Mapper[Any]) -> Iterator[tuple[str, str, bool]]:
    for table in mapper.tables:
        known = encrypted_table(table)
        for column in () if known is None else known.adopted.values():
            keys = [_attribute(mapper, each) for each in (column.column, column.plain)]
            if keys[0] is not None and keys[1] is not None:
                yield keys[0], keys[1], not column.type.allows_plaintext


def _attribute(mapper: Mapper[Any], column: Any) -> str | None:
    for attribute in mapper.column_attrs:
        if any(each is column for each in attribute.columns):
            return attribute.key
    return None
