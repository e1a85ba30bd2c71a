"""The declaration of an encrypted attribute of a mapped class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from sqlalchemy.orm import MappedColumn, mapped_column

from vaultdb.errors import ConfigurationError
from vaultdb.orm.indexes import Equality
from vaultdb.orm.options import DEFAULT_PAD, REFUSED_ARGUMENTS, Bind, Pad, Plaintext
from vaultdb.orm.types import Encrypted

T = TypeVar("T")

_PASSED_ON = frozenset(
    {
        "active_history",
        "comment",
        "compare",
        "default",
        "default_factory",
        "deferred",
        "deferred_group",
        "deferred_raiseload",
        "doc",
        "hash",
        "info",
        "init",
        "insert_default",
        "key",
        "kw_only",
        "name",
        "onupdate",
        "quote",
        "repr",
        "sort_order",
        "system",
    }
)
"""The arguments of `mapped_column` that make sense for an encrypted column."""


@overload
def encrypted(
    python_type: type[T],
    /,
    *,
    index: Equality | None = None,
    bind: Bind = "row",
    nullable: Literal[False] = False,
    logical_name: str | None = None,
    keyset: str = "default",
    validate: Callable[[T], object] | None = None,
    pad: Pad = DEFAULT_PAD,
    tenant_column: str | None = None,
    subject: str | None = None,
    adopts: str | None = None,
    plaintext: Plaintext = "forbid",
    sensitive: bool = False,
    **mapped_column_kwargs: Any,
) -> MappedColumn[T]: ...
@overload
def encrypted(
    python_type: type[T],
    /,
    *,
    index: Equality | None = None,
    bind: Bind = "row",
    nullable: Literal[True],
    logical_name: str | None = None,
    keyset: str = "default",
    validate: Callable[[T], object] | None = None,
    pad: Pad = DEFAULT_PAD,
    tenant_column: str | None = None,
    subject: str | None = None,
    adopts: str | None = None,
    plaintext: Plaintext = "forbid",
    sensitive: bool = False,
    **mapped_column_kwargs: Any,
) -> MappedColumn[T | None]: ...
def encrypted(
    python_type: type[T],
    /,
    *,
    index: Equality | None = None,
    bind: Bind = "row",
    nullable: bool = False,
    logical_name: str | None = None,
    keyset: str = "default",
    validate: Callable[[T], object] | None = None,
    pad: Pad = DEFAULT_PAD,
    tenant_column: str | None = None,
    subject: str | None = None,
    adopts: str | None = None,
    plaintext: Plaintext = "forbid",
    sensitive: bool = False,
    **mapped_column_kwargs: Any,
) -> MappedColumn[Any]:
    """Declare an attribute whose values are encrypted before they reach the database.

    In dataclass mapping write `mapped_column(Encrypted(str), repr=False)` instead: type checkers
    accept no other function as a field there, and a dataclass's `repr` shows plaintext.

    Args:
        python_type: the type of the values.
        index: an `Equality` to search by, or None.
        bind: what a value is tied to: `"row"`, a tuple of key column names, or `"column"`.
        nullable: whether NULL is allowed, as in the annotation. NULL is not encrypted.
        logical_name: the name that stored values are bound to; give it after a rename.
        keyset: the name under which columns share keys.
        validate: called with each value; returns False or raises `ValueError` to refuse it.
        pad: hide lengths by padding to a multiple of this many bytes, None for no padding.
        tenant_column: the column of the same table that holds the row's tenant.
        subject: the column of the same table that holds the data subject, whose own key encrypts
            the row's value.
        adopts: the name, in the database, of the plaintext column that this one replaces.
        plaintext: `"allow"` to write the plaintext column too, and to read it where a row is not
            encrypted yet; `"empty"` to set it to NULL with each write; `"forbid"` to leave it
            alone.
        sensitive: no value is read before the audit log has recorded it, also in relaxed mode.
        mapped_column_kwargs: what else `mapped_column` takes and encryption allows.

    Raises:
        ConfigurationError: an option that does not exist or cannot work; names it and the remedy.

    Example:
        >>> from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
        >>> class Base(DeclarativeBase): ...
        >>> class Patient(Base):
        ...     __tablename__ = "patient"
        ...     id: Mapped[int] = mapped_column(primary_key=True)
        ...     ssn: Mapped[str] = encrypted(str, index=Equality(unique=True))
        >>> Patient.__table__.c.ssn.type.logical_name
        'patient.ssn'

    """
    for argument in mapped_column_kwargs.keys() - _PASSED_ON:
        remedy = REFUSED_ARGUMENTS.get(argument, "there is no such option; leave it out")
        raise ConfigurationError(f"encrypted({argument}=...): {remedy}")
    type_ = Encrypted(
        python_type,
        index=index,
        bind=bind,
        logical_name=logical_name,
        keyset=keyset,
        validate=validate,
        pad=pad,
        tenant_column=tenant_column,
        subject=subject,
        adopts=adopts,
        plaintext=plaintext,
        sensitive=sensitive,
    )
    return mapped_column(type_, nullable=nullable, **mapped_column_kwargs)
