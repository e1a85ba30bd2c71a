"""What the jobs of an adoption have in common."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from psycopg import sql

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.adoption import Adoption, Foreign, find_adoption
from vaultdb.jobs.adopt.reading import OldRows, driver_of
from vaultdb.jobs.work.row_keys import column
from vaultdb.jobs.work.task import Quarantined
from vaultdb.vault.factory import new_client

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg
    from sqlalchemy import Connection

    from vaultdb.jobs.adopt.foreign.formats import Reader
    from vaultdb.jobs.adopt.reading import OldRow
    from vaultdb.jobs.work.job import Job
    from vaultdb.jobs.work.task import Tools
    from vaultdb.keys.keyring import Keyring
    from vaultdb.settings import Settings

_TYPES = """
    SELECT attname, format_type(atttypid, NULL) FROM pg_catalog.pg_attribute
    WHERE attrelid = %s::regclass AND attname = ANY (%s) AND NOT attisdropped
"""


class AdoptionTask:
    """A job over the rows of one adoption.

    Args:
        adoption: the column.
        rows: reads them.
        keyring: of the role that re-encrypts.

    """

    def __init__(self, adoption: Adoption, rows: OldRows, keyring: Keyring) -> None:
        self.adoption = adoption
        self.rows = rows
        self.keyring = keyring
        self._match: dict[str, sql.Composable] | None = None

    @property
    def condition(self) -> sql.Composable:
        """Say which rows need work, of the alias `t`."""
        raise NotImplementedError

    def remaining(self, connection: Connection) -> int:
        """Count the rows that need work."""
        return count_rows(connection, self.adoption, self.condition)

    def quarantined(self, refused: Mapping[OldRow, str]) -> tuple[Quarantined, ...]:
        """Return the rows that are left as they are."""
        name = self.adoption.plain
        return tuple(Quarantined(row.key, name, reason) for row, reason in refused.items())

    def key_match(self, driver: psycopg.Connection[Any]) -> dict[str, sql.Composable]:
        """Return the parts of an UPDATE that find rows by keys in text form, one array a column."""
        if self._match is None:
            self._match = self._key_match(driver)
        return self._match

    def _key_match(self, driver: psycopg.Connection[Any]) -> dict[str, sql.Composable]:
        keys = self.adoption.keys
        found = driver.execute(_TYPES, [keys.table.as_string(driver), list(keys.names)])
        types = {name: sql.SQL(type_) for name, type_ in found}
        names = [sql.Identifier(f"k{number}") for number in range(len(keys.names))]
        # Cast on the values' side, to what the catalogue calls the type: the index is used.
        same = [
            sql.SQL("{} = v.{}::{}").format(column(name), key, types[name])
            for name, key in zip(keys.names, names, strict=True)
        ]
        return {
            "keys": sql.SQL(", ").join([sql.SQL("%b::text[]")] * len(names)),
            "key_names": sql.SQL(", ").join(names),
            "same_key": sql.SQL(" AND ").join(same),
        }


T = TypeVar("T", bound=AdoptionTask)


def adoption_task(kind: type[T], job: Job, tools: Tools) -> T:
    """Make a task from what a job says.

    Raises:
        ConfigurationError: the models do not declare the adoption any more, or the key of the old
            format cannot be read.

    """
    if tools.keyring is None:
        raise ConfigurationError(f"job {job.id} needs keys; run it as the reencryptor")
    spec = job.spec
    adoption = find_adoption([tools.metadata], spec["table"], spec["column"])
    foreign = None if spec["foreign"] is None else Foreign.of(spec["foreign"])
    reader = None if foreign is None else reader_of(foreign, tools.settings)
    rows = OldRows(adoption, reader=reader, tenant=spec["tenant"])
    return kind(adoption, rows, tools.keyring)


def spec_of(adoption: Adoption, foreign: Foreign | None, tenant: str) -> dict[str, Any]:
    """Return what a job stores about an adoption: names and places."""
    return {
        "table": adoption.table.fullname,
        "column": adoption.encrypted,
        "foreign": None if foreign is None else foreign.spec(),
        "tenant": tenant,
    }


def reader_of(foreign: Foreign, settings: Settings | None) -> Reader:
    """Open the reader of a foreign format; its key is read now.

    Raises:
        ConfigurationError, VaultError: the key cannot be read.

    """
    if foreign.key.vault is None or settings is None:
        secret = foreign.key.read(None)
    else:
        with closing(new_client(settings.vault)) as client:
            secret = foreign.key.read(client)
    return foreign.format.reader(secret, padding=foreign.padding)


def count_rows(connection: Connection, adoption: Adoption, condition: sql.Composable) -> int:
    """Count rows by a condition on the alias `t`."""
    statement = sql.SQL("SELECT count(*) FROM {} AS t WHERE {}").format(
        adoption.keys.table, condition
    )
    found = driver_of(connection).execute(statement).fetchone()
    return int(found[0]) if found else 0
