"""Which rows need work, in SQL alone: by the key ids that stand at fixed places of the envelope.

A job for all tenants takes every value that is not under a DEK that writes, so also what is no
envelope at all, which is put into quarantine. A job for one tenant takes what is under one of the
tenant's keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from vaultdb.crypto.limits import INDEX_KEY_ID_SIZE
from vaultdb.db.packed import BYTEA, pack
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.jobs.reencrypt.key_targets import LISTED_KEYS, writing_keys
from vaultdb.jobs.work.row_keys import column
from vaultdb.keys.wrapped_key import Purpose

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

    from vaultdb.jobs.reencrypt.target import Target, TargetColumn

_ASKED = sql.SQL(shipped_sql("vaultdb.jobs.reencrypt", "asked"))  # pyright: ignore[reportArgumentType]
_ASKED_TENANT = sql.SQL(shipped_sql("vaultdb.jobs.reencrypt", "asked_tenant"))  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a statement, as bytes on the wire.

    Args:
        value: in binary, or text for a type that the server finds out.
        oid: of the type; 0 for what the server finds out.

    """

    value: bytes | None
    oid: int = 0

    @property
    def format(self) -> int:
        """Return 1 for binary."""
        return 1 if self.oid else 0


class Parameters(list[Parameter]):
    """Parameters, numbered as they are added."""

    def place(self, parameter: Parameter) -> sql.SQL:
        """Add one; return where it stands in the statement."""
        self.append(parameter)
        return sql.SQL(f"${len(self)}")  # pyright: ignore[reportArgumentType]

    def text(self, value: str) -> sql.SQL:
        """Add a text of a type that the server finds out."""
        return self.place(Parameter(value.encode()))

    def ids(self, values: Sequence[bytes]) -> sql.Composable:
        """Add an array of key ids."""
        array = self.place(Parameter(pack(BYTEA, list(values)), BYTEA.array_oid))
        return sql.SQL("({}::bytea[])").format(array)


class Needs:
    """What needs work in the rows of a target, as of now.

    Args:
        connection: by a login that may read the key table.
        realm: the installation.
        target: table and columns.

    """

    def __init__(self, connection: Connection, realm: UUID, target: Target) -> None:
        self._realm = realm
        self._target = target
        keysets = {each.encrypted.type.keyset for each in target.columns}
        self._data = {
            keyset: writing_keys(connection, realm, keyset, Purpose.DATA) for keyset in keysets
        }
        self._index = {
            (keyset, second): writing_keys(
                connection, realm, keyset, Purpose.INDEX, incoming=second
            )
            for keyset in keysets
            for second in (False, True)
        }

    def condition(self, parameters: Parameters) -> sql.Composable:
        """Return the condition that a row needs work, and add its parameters."""
        terms = [term for each in self._target.columns for term in self._terms(each, parameters)]
        return sql.SQL("({})").format(sql.SQL(" OR ").join(terms))

    def _terms(self, target: TargetColumn, parameters: Parameters) -> list[sql.Composable]:
        keyset = target.encrypted.type.keyset
        value = column(target.name)
        found = [self._value(value, keyset, parameters)]
        for companion, second in target.companions:
            writing = [key_id[:INDEX_KEY_ID_SIZE] for key_id in self._index[keyset, second]]
            term = sql.SQL(
                "({value} IS NOT NULL AND substr({index}, 3, 8) <> ALL {ids} IS NOT FALSE{mine})"
            ).format(
                value=value,
                index=column(companion.name),
                ids=parameters.ids(writing),
                mine=self._mine(value, keyset, parameters),
            )
            found.append(term)
        return found

    def _value(self, value: sql.Composable, keyset: str, parameters: Parameters) -> sql.Composable:
        writing = self._data[keyset]
        mine = self._mine(value, keyset, parameters)
        if len(writing) > LISTED_KEYS:
            names = {"keyset": sql.Literal(keyset), "realm": sql.Literal(self._realm)}
            stale = _ASKED.format(value=value, **names)
        else:
            stale = sql.SQL("substr({}, 3, 16) <> ALL {}").format(value, parameters.ids(writing))
        return sql.SQL("({value} IS NOT NULL AND {stale}{mine})").format(
            value=value, stale=stale, mine=mine
        )

    def _mine(self, value: sql.Composable, keyset: str, parameters: Parameters) -> sql.Composable:
        """Return the further condition that a value is the job's tenant's."""
        tenant = self._target.filters.tenant
        if tenant is None:
            return sql.SQL("")
        return sql.SQL(" AND ") + _ASKED_TENANT.format(
            value=value,
            realm=sql.Literal(self._realm),
            keyset=sql.Literal(keyset),
            tenant=sql.SQL("{}::text").format(parameters.text(tenant)),
        )
