"""Values to look for: some of the column's own, decrypted, as PostgreSQL stored them in the clear.

They are compared in this process. Sent to the server they would end up in its log, where nobody
has looked for them before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg import sql

from vaultdb.errors import ConfigurationError, DecryptionError
from vaultdb.jobs.adopt.encryption import ColumnKeys
from vaultdb.jobs.adopt.reading import OldRows, driver_of
from vaultdb.jobs.adopt.task import count_rows
from vaultdb.jobs.work.row_keys import column
from vaultdb.jobs.work.task import Span

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.adoption import Adoption
    from vaultdb.keys.keyring import Keyring

SHORTEST = 6
"""Bytes of a value that is looked for: shorter ones are found by chance, one of 2^40 places."""
LONGEST = 64
"""Bytes of a value that are looked for: what is longer may be cut into pieces (TOAST)."""
SAMPLES = 50
"""Values that are looked for: a place that holds a tenth of all is missed once in 200 times."""

_EXISTS = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute
    WHERE attrelid = %s::regclass AND attname = %s AND NOT attisdropped)
"""


@dataclass(frozen=True, slots=True)
class Samples:
    """What is looked for.

    Args:
        patterns: bytes, secret.
        too_short: values that were left out.

    """

    patterns: tuple[bytes, ...]
    too_short: int = 0

    def __repr__(self) -> str:
        return f"<Samples {len(self.patterns)}>"


def samples_in(path: Path) -> Samples:
    """Return the values of a file, one a line.

    Raises:
        ConfigurationError: it cannot be read, or holds nothing to look for.

    """
    try:
        found = path.read_bytes().splitlines()
    except OSError as error:
        problem = (error.strerror or type(error).__name__).lower()
        raise ConfigurationError(f"--values: cannot use {path}: {problem}") from None
    return _worth_it(line for line in found if line)


def samples_of(
    connection: Connection,
    adoption: Adoption,
    keyring: Keyring,
    *,
    tenant: str,
    count: int = SAMPLES,
) -> Samples:
    """Decrypt some values at random, and take what the old column still holds of these rows.

    Args:
        connection: by a login with the rotator capability.
        adoption: the column; the old one may be gone.
        keyring: of a role that may decrypt.
        tenant: of rows that do not say whose they are.
        count: how many, about.

    Raises:
        ConfigurationError: the type's bytes say too little, or there is nothing to decrypt.

    """
    if adoption.column.type.python_type not in {str, bytes, UUID}:
        raise ConfigurationError(
            f"values of {adoption.column.column} are too short or too common to be found by their"
            " bytes; name some of the old column's in a file: --values FILE"
        )
    rows = OldRows(adoption, reader=None, tenant=tenant, has_old=has_column(connection, adoption))
    condition = sql.SQL("{} IS NOT NULL").format(column(adoption.encrypted))
    percent = min(100.0, 300.0 * count / max(count_rows(connection, adoption, condition), 1))
    found = rows.read(connection, condition, Span(), count * 3, sample=percent)[:count]
    connection.rollback()
    decrypted = ColumnKeys(adoption, keyring).decrypt(found)
    values = [_stored(value) for value in decrypted if not isinstance(value, DecryptionError)]
    return _worth_it([*values, *(row.old.encode() for row in found if row.old)])


def has_column(connection: Connection, adoption: Adoption) -> bool:
    """Tell whether the old column is there."""
    driver = driver_of(connection)
    name = adoption.keys.table.as_string(driver)
    found = driver.execute(_EXISTS, [name, adoption.plain]).fetchone()
    return bool(found and found[0])


def _stored(value: Any) -> bytes:
    if isinstance(value, UUID):
        return value.bytes
    return value.encode() if isinstance(value, str) else bytes(value)


def _worth_it(values: Iterable[bytes]) -> Samples:
    given = list(dict.fromkeys(values))
    long_enough = dict.fromkeys(value[:LONGEST] for value in given if len(value) >= SHORTEST)
    if not long_enough:
        raise ConfigurationError(
            f"there is no value of {SHORTEST} bytes or more to look for; name some with --values"
        )
    short = sum(len(value) < SHORTEST for value in given)
    return Samples(tuple(long_enough), short)
