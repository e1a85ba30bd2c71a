"""Errors that SQLAlchemy does not wrap.

What fails while SQLAlchemy binds parameters becomes a `StatementError` whose text and `params` show
every parameter of the statement. These pass through as they are, on any engine.
"""

from __future__ import annotations

import copyreg
from typing import Any

from sqlalchemy.exc import DontWrapMixin

from vaultdb.errors import VaultDBError

_variants: dict[type[VaultDBError], type[VaultDBError]] = {}


def unwrapped(error: VaultDBError) -> VaultDBError:
    """Return the error as one that SQLAlchemy raises as it is; still of the same class."""
    if isinstance(error, DontWrapMixin):
        return error
    variant = _variant(type(error))
    fresh = variant.__new__(variant, *error.args)
    fresh.__dict__.update(error.__dict__)
    return fresh


def _variant(error: type[VaultDBError]) -> type[VaultDBError]:
    if error not in _variants:
        _variants[error] = _make_variant(error)
    return _variants[error]


def _make_variant(error: type[VaultDBError]) -> type[VaultDBError]:
    members = {"__module__": error.__module__, "__doc__": error.__doc__, "__reduce__": _reduce}
    return type(error.__name__, (DontWrapMixin, error), members)


def _reduce(self: VaultDBError) -> tuple[Any, ...]:
    # Pickles as the public class: the variant cannot be imported.
    public = type(self).__mro__[2]
    return copyreg.__newobj__, (public, *self.args), self.__dict__  # type: ignore[attr-defined]
