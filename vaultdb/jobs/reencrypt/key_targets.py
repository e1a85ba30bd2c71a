"""Which DEK a value should be under: the newest of the scope of the DEK that it is under.

So a value stays with its tenant and its data subject, whoever that is, and nobody has to say so.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg

from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.keys.wrapped_key import Purpose

if TYPE_CHECKING:
    from sqlalchemy import Connection

_NEWEST = shipped_sql("vaultdb.jobs.reencrypt", "newest_keys").encode()
_WRITING = shipped_sql("vaultdb.jobs.reencrypt", "writing_keys").encode()

LISTED_KEYS = 2_000
"""Writing keys that are sent with each statement, 16 bytes each. With more, as when each data
subject has one, the key table is asked for each row instead, which takes a look-up of its index."""


@dataclass(frozen=True, slots=True)
class KeyTarget:
    """Where values under one DEK go.

    Args:
        tenant: whose the DEK is.
        keyset: which it serves.
        state: of the DEK.
        newest: the id of the DEK that writes in the same scope; None when there is none.

    """

    tenant: str
    keyset: str
    state: str
    newest: bytes | None

    @property
    def readable(self) -> bool:
        """Whether the DEK may still decrypt."""
        return self.state in {"active", "decrypt_only"}


class KeyTargets:
    """Targets by key id, looked up when first met.

    Args:
        realm: the installation.

    """

    def __init__(self, realm: UUID) -> None:
        self._realm = realm
        self._known: dict[bytes, KeyTarget | None] = {}

    def of(
        self, connection: Connection, key_ids: Collection[bytes]
    ) -> dict[bytes, KeyTarget | None]:
        """Return the target of each id; None for an id that the key table does not have."""
        missing = [key_id for key_id in key_ids if key_id not in self._known]
        if missing:
            self._known |= dict.fromkeys(missing)
            for row in _driver(connection).execute(_NEWEST, [self._realm, missing]):
                key_id, tenant, keyset, state, newest = row
                self._known[key_id] = KeyTarget(tenant, keyset, state, newest)
        return self._known

    def forget(self) -> None:
        """Look everything up anew; a new version may have come."""
        self._known.clear()


def writing_keys(
    connection: Connection, realm: UUID, keyset: str, purpose: Purpose, *, incoming: bool = False
) -> list[bytes]:
    """Return the ids of the DEKs that write in a keyset, one for each tenant and subject.

    Args:
        connection: by a login that may read the key table.
        realm: the installation.
        keyset: as columns name it.
        purpose: data or index.
        incoming: prefer an incoming index key: the one that fills second companions.

    Returns:
        all of them; of data keys no more than one over `LISTED_KEYS`.

    """
    parameters = {
        "realm": realm,
        "keyset": keyset,
        "purpose": purpose.value,
        "incoming": incoming,
        "limit": LISTED_KEYS + 1 if purpose is Purpose.DATA else None,
    }
    return [row[0] for row in _driver(connection).execute(_WRITING, parameters)]


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    return driver
