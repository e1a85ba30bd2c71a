"""Look at what the database really holds, past the ORM."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table, column, inspect, select, table
from sqlalchemy.orm import InstanceState, Mapper, Session

from vaultdb.crypto import blind_index
from vaultdb.crypto.envelope import check_envelope
from vaultdb.errors import DecryptionError
from vaultdb.orm.companion import companion_of
from vaultdb.orm.types import Encrypted

TELLTALE = 6
"""Bytes: a shorter plaintext may turn up in ciphertext by chance."""


def assert_encrypted(session: Session, instance: object, attribute: str) -> None:
    """Fail unless the database holds `attribute` of `instance` as ciphertext that reads back.

    The session is flushed. The column is read as bytes past the ORM and must be an envelope that
    does not contain the plaintext; then it is read through vaultdb and must equal the attribute.
    The blind index value beside it, if the column has one, must be there too.

    Args:
        session: the session that holds `instance`; with an `AsyncSession`, call
            `await session.run_sync(assert_encrypted, instance, "ssn")`.
        instance: a mapped object that was added to the session or loaded from it.
        attribute: the name of an encrypted attribute, whose value is not None.

    Raises:
        AssertionError: says which check failed, never a value.
        TypeError: `attribute` is not an encrypted column of `instance`.

    """
    __tracebackhide__ = True
    mapper = _mapper_of(instance)
    encrypted = _column_of(mapper, attribute)
    where = f"{encrypted.table.name}.{encrypted.name}"
    session.flush()
    value = getattr(instance, attribute)
    if value is None:
        raise AssertionError(f"{where} is NULL, which is stored as it is")
    stored = _stored(session, mapper, instance, encrypted)
    _check_envelope(stored, where)
    assert isinstance(encrypted.type, Encrypted)
    _check_no_plaintext(stored, encrypted.type.encode(value), value, where)
    _check_reads_back(session, mapper, instance, attribute, where)
    companion = companion_of(encrypted)
    if companion is not None:
        _check_index(_stored(session, mapper, instance, companion), f"index of {where}")


def _mapper_of(instance: object) -> Mapper[object]:
    state = inspect(instance, raiseerr=False)
    if not isinstance(state, InstanceState):
        raise TypeError(f"{type(instance).__name__} is not a mapped class")
    return state.mapper


def _column_of(mapper: Mapper[object], attribute: str) -> Column[object]:
    prop = mapper.attrs.get(attribute)
    found = getattr(prop, "columns", [None])[0]
    if not isinstance(found, Column) or not isinstance(found.type, Encrypted):
        raise TypeError(f"{mapper.class_.__name__}.{attribute} is not an encrypted column")
    return found


def _stored(
    session: Session, mapper: Mapper[object], instance: object, wanted: Column[object]
) -> object:
    """Read one cell as it is: a bare table without types knows nothing of encryption."""
    assert isinstance(wanted.table, Table)
    keys = list(wanted.table.primary_key)
    bare = table(
        wanted.table.name,
        column(wanted.name, LargeBinary),
        *(column(key.name, key.type) for key in keys),
        schema=wanted.table.schema,
    )
    row = select(bare.c[wanted.name]).where(
        *(
            bare.c[key.name] == getattr(instance, mapper.get_property_by_column(key).key)
            for key in keys
        )
    )
    found = session.connection(bind_arguments={"mapper": mapper}).execute(row).one_or_none()
    if found is None:
        raise AssertionError(f"{wanted.table.name} has no row of this object; add it first")
    return found[0]


def _check_envelope(stored: object, where: str) -> None:
    __tracebackhide__ = True
    try:
        check_envelope(stored)
    except DecryptionError:
        raise AssertionError(f"{where} holds something else than an envelope") from None


def _check_no_plaintext(stored: object, frame: bytes, value: object, where: str) -> None:
    __tracebackhide__ = True
    assert isinstance(stored, bytes | bytearray | memoryview)
    for plaintext in (frame, str(value).encode()):
        if len(plaintext) >= TELLTALE and plaintext in bytes(stored):
            raise AssertionError(f"{where} contains its plaintext")


def _check_reads_back(
    session: Session, mapper: Mapper[object], instance: object, attribute: str, where: str
) -> None:
    __tracebackhide__ = True
    keys = [mapper.get_property_by_column(key).key for key in mapper.primary_key]
    query = select(getattr(mapper.class_, attribute)).where(
        *(getattr(mapper.class_, key) == getattr(instance, key) for key in keys)
    )
    try:
        read = session.scalars(query).one()
    except DecryptionError:
        raise AssertionError(f"{where} does not decrypt") from None
    if read != getattr(instance, attribute):
        raise AssertionError(f"{where} reads back as another value")


def _check_index(stored: object, where: str) -> None:
    __tracebackhide__ = True
    start = bytes((blind_index.MAGIC, blind_index.VERSION))
    if not isinstance(stored, bytes | bytearray | memoryview) or bytes(stored[:2]) != start:
        raise AssertionError(f"{where} holds no blind index value")
