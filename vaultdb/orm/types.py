"""The column type of encrypted values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, final

from sqlalchemy.types import UserDefinedType

from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.codec import codec_for
from vaultdb.crypto.framed_codec import FramedCodec
from vaultdb.errors import ConfigurationError, ValueRefused
from vaultdb.orm.bound_value import bound_value
from vaultdb.orm.ciphertext import ciphertext_only
from vaultdb.orm.comparators import EncryptedComparator
from vaultdb.orm.indexes import Equality
from vaultdb.orm.options import DEFAULT_PAD, Bind, Options, Pad, Plaintext
from vaultdb.orm.reading import value_reader

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import Dialect

__all__ = ["DEFAULT_PAD", "Encrypted", "is_encrypted"]

T = TypeVar("T")


@final
class Encrypted(UserDefinedType[T]):
    """A column whose values are encrypted before they reach the database.

    `vaultdb.encrypted` is the shorter way with `Mapped`; use this as a column type with Core,
    SQLModel (`sa_type=`) and dataclass mapping (`mapped_column(Encrypted(str))`).

    The type holds names only. One instance may be shared by columns: the table replaces it by a
    copy that knows its column's logical name.

    Args:
        python_type: the type of the values; see `vaultdb.crypto.codec.codec_for`.
        index: an `Equality` to search by, or None.
        bind: what a value is tied to: `"row"`, the primary key; a tuple of key column names, a
            unique part of it; or `"column"`, so that a value can be moved between rows unnoticed.
        logical_name: the name in associated data; by default `schema.table.column` as declared.
            Give it when the table or the column is renamed: stored values are bound to it.
        keyset: the name under which columns share keys.
        validate: called with each value before it is encrypted; returns False or raises
            `ValueError` to refuse it.
        pad: hide lengths by padding to a multiple of this many bytes, None for no padding.
        tenant_column: the column of the same table that holds the row's tenant, compared with the
            key's tenant on reading and writing.
        subject: the column of the same table that holds the data subject, such as a patient's id:
            the value is encrypted with a key of that subject alone, which can be destroyed.
        adopts: the name, in the database, of the plaintext column of the same table that this one
            replaces.
        plaintext: `"allow"` while rows are being encrypted: the plaintext column is written too,
            and read where there is no ciphertext. `"empty"` when none is left: it is not read, and
            a write empties it. `"forbid"` leaves it alone.
        sensitive: no value is read before the audit log has recorded it, also where the mode of
            the log is relaxed.

    Raises:
        ConfigurationError: an option that cannot work; names it and the remedy.

    Example:
        >>> from sqlalchemy import Column, Integer, MetaData, Table
        >>> key = Column("id", Integer, primary_key=True)
        >>> notes = Table("note", MetaData(), key, Column("body", Encrypted(str)))
        >>> notes.c.body.type
        Encrypted(str, logical_name='note.body')

    """

    cache_ok = True
    comparator_factory = EncryptedComparator

    def __init__(
        self,
        python_type: type[T],
        /,
        *,
        index: Equality | None = None,
        bind: Bind = "row",
        logical_name: str | None = None,
        keyset: str = "default",
        validate: Callable[[T], object] | None = None,
        pad: Pad = DEFAULT_PAD,
        tenant_column: str | None = None,
        subject: str | None = None,
        adopts: str | None = None,
        plaintext: Plaintext = "forbid",
        sensitive: bool = False,
    ) -> None:
        options = Options(
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
        self._prepare(python_type, options, logical_name)

    def _prepare(self, python_type: type[T], options: Options, name: str | None) -> None:
        codec = codec_for(python_type)
        options.check(codec)
        self._python_type = python_type
        self.options = options
        self.codec = codec
        self.pad = codec.default_pad if options.pad is DEFAULT_PAD else options.pad
        self.logical_name = name
        self.hashable = python_type.__hash__ is not None
        self._identity = None if name is None else ColumnIdentity(name, codec.type_tag)
        self._framed = FramedCodec(codec, self.pad)
        self.decode: Callable[[bytes], T] = self._framed.decode
        """From a decrypted frame to the value; raises `DecryptionError`. Not a method: it is the
        hot path."""

    @property
    def python_type(self) -> type[T]:
        """The type of the values."""
        return self._python_type

    @property
    def type_tag(self) -> str:
        """What the type is called in associated data."""
        return self.codec.type_tag

    @property
    def index(self) -> Equality | None:
        """The blind index, if any."""
        return self.options.index

    @property
    def bind(self) -> Bind:
        """What values are tied to."""
        return self.options.bind

    @property
    def keyset(self) -> str:
        """The name under which columns share keys."""
        return self.options.keyset

    @property
    def tenant_column(self) -> str | None:
        """The name of the column that holds the row's tenant."""
        return self.options.tenant_column

    @property
    def subject(self) -> str | None:
        """The name of the column that holds the row's data subject."""
        return self.options.subject

    @property
    def sensitive(self) -> bool:
        """Whether each read is recorded before a value is released."""
        return self.options.sensitive

    @property
    def allows_plaintext(self) -> bool:
        """Whether the column that this one replaces is still written and read."""
        return self.options.plaintext == "allow"

    @property
    def identity(self) -> ColumnIdentity:
        """The names in associated data.

        Raises:
            ConfigurationError: the type belongs to no column yet, and declares no name.

        """
        if self._identity is None:
            raise ConfigurationError(
                f"{self!r} belongs to no table, so it has no logical name; use the table's column, "
                "or declare logical_name="
            )
        return self._identity

    @property
    def index_domain(self) -> str:
        """The index domain: by default the column itself."""
        domain = self.index.domain if self.index is not None else None
        return domain or self.identity.logical_name

    def named(self, logical_name: str) -> Encrypted[T]:
        """Return a copy for a column, called `logical_name` unless the declaration names it."""
        return self._copy(self.options.logical_name or logical_name)

    def copy(self, **_: Any) -> Encrypted[T]:
        """Return a copy that belongs to no column; SQLAlchemy's hook when it copies columns."""
        return self._copy(self.options.logical_name)

    def adapt(self, cls: Any, **_: Any) -> Any:
        """Return the copy that a dialect keeps; by default built from attributes by name."""
        del cls
        return self._copy(self.logical_name)

    def _copy(self, name: str | None) -> Encrypted[T]:
        fresh: Encrypted[T] = object.__new__(Encrypted)
        fresh._prepare(self._python_type, self.options, name)
        return fresh

    def encode(self, value: T) -> bytes:
        """Validate and encode a value: what is to be encrypted.

        Args:
            value: the plaintext, secret, not None.

        Raises:
            ValueRefused: not of the type, too large, or refused by `validate`; does not show it.

        """
        try:
            if self.options.validate is not None:
                self._validate(value)
            return self._framed.encode(value)
        except ValueRefused as error:
            refusal = ValueRefused(f"{self.logical_name or 'encrypted value'}: {error}")
        raise refusal

    def encode_all(self, values: Sequence[T]) -> list[bytes]:
        """Validate and encode the values of several rows; see `encode`."""
        try:
            if self.options.validate is not None:
                for value in values:
                    self._validate(value)
            return self._framed.encode_all(values)
        except ValueRefused as error:
            refusal = ValueRefused(f"{self.logical_name or 'encrypted value'}: {error}")
        raise refusal

    def _validate(self, value: T) -> None:
        assert self.options.validate is not None
        try:
            accepted = self.options.validate(value)
        except ValueError:
            accepted = False
        if accepted is False:
            raise ValueRefused("the column's validate= refuses this value")

    # -- what SQLAlchemy calls -----------------------------------------------------------------

    @property
    def _static_cache_key(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        # By default built from positional constructor arguments, which would leave the options
        # out: two columns would share one cached statement, and one associated data.
        return (Encrypted, self._python_type, self.options, self.logical_name)

    def get_col_spec(self, **_: Any) -> str:
        """Name the column's type; other dialects than PostgreSQL see `vaultdb.orm.ddl`."""
        return "BLOB"

    def column_expression(self, colexpr: ColumnElement[Any]) -> ColumnElement[Any]:
        """Select the value together with its row."""
        return bound_value(self, colexpr)

    def bind_processor(self, dialect: Dialect) -> Any:
        """Let ciphertexts pass, and nothing else."""
        return ciphertext_only(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Decrypt; memoised per dialect, so it keeps names and looks everything else up."""
        del coltype
        return value_reader(self, dialect)

    def __repr__(self) -> str:
        options = self.options.changed(_UNCHANGED)
        if self.logical_name is not None:
            options["logical_name"] = self.logical_name
        shown = [f"{name}={value!r}" for name, value in options.items()]
        return f"Encrypted({', '.join([self._python_type.__qualname__, *shown])})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self._python_type, self.options, self.logical_name)


def is_encrypted(element: Any) -> bool:
    """Tell whether an element of a statement has an encrypted type: columns and all others."""
    return isinstance(getattr(element, "type", None), Encrypted)


_UNCHANGED = Options(None, "row", None, "default", None, DEFAULT_PAD, None)


def _restored(python_type: type[Any], options: Options, name: str | None) -> Encrypted[Any]:
    fresh: Encrypted[Any] = object.__new__(Encrypted)
    fresh._prepare(python_type, options, name)  # noqa: SLF001  # the unpickled instance's own
    return fresh
