"""SQLAlchemy: encrypted columns, the write interceptor, blind indexes and refusals."""

from __future__ import annotations

from vaultdb.orm import attachment, bound_value_sql, ddl, index_match, mapping
from vaultdb.orm.autogenerate import render_item
from vaultdb.orm.columns import encrypted
from vaultdb.orm.indexes import Equality
from vaultdb.orm.stored_types import Envelope, IndexValue
from vaultdb.orm.text_columns import columns
from vaultdb.orm.types import DEFAULT_PAD, Encrypted

__all__ = [
    "DEFAULT_PAD",
    "Encrypted",
    "Envelope",
    "Equality",
    "IndexValue",
    "columns",
    "encrypted",
    "render_item",
]

_REGISTERED = (attachment, bound_value_sql, ddl, index_match, mapping)
"""Imported so that SQLAlchemy hears of them: they listen to events and compile constructs."""
