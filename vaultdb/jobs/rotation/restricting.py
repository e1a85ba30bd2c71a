"""Take the right to encrypt from versions that nobody needs for it any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaultdb.db.key_states import KeyStates
from vaultdb.keys.wrapped_key import KeyState, WrappedKey

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

    from vaultdb.jobs.rotation.ages import Age
    from vaultdb.jobs.rotation.data_keys import ScopePlan
    from vaultdb.jobs.rotation.usage import Usage


@dataclass(frozen=True, slots=True)
class Superseded:
    """What became of the versions that a newer one has replaced.

    Args:
        restricted: only decrypt from now on.
        used: still have values, by key id how many.
        waiting: may still be written with, by a process that has not heard of the newest.

    """

    restricted: tuple[WrappedKey, ...] = ()
    used: Mapping[bytes, int] | None = None
    waiting: tuple[WrappedKey, ...] = ()


def restrict_superseded(
    connection: Connection,
    realm: UUID,
    plans: Iterable[ScopePlan],
    found: Usage,
    aged: Mapping[bytes, Age],
    *,
    ttl: float,
) -> Superseded:
    """Make older versions decrypt_only where no value is under them and every process knows that.

    Args:
        connection: of the rotator's login, in a transaction.
        realm: of the settings.
        plans: by the key table as it is now.
        found: counted after `aged` was read.
        aged: by key id.
        ttl: the hard lifetime of keys in every process, in seconds.

    """
    rows = found.by_key()
    used: dict[bytes, int] = {}
    free: list[WrappedKey] = []
    waiting: list[WrappedKey] = []
    for each in plans:
        older = [key for key in each.older if key.state is KeyState.ACTIVE]
        used |= {key.key_id: rows[key.key_id] for key in each.older if rows[key.key_id]}
        unused = [key for key in older if not rows[key.key_id]]
        newest = aged.get(each.newest.key_id)
        is_known = newest is not None and newest.changed >= ttl and not each.is_incoming
        (free if is_known and found.is_complete else waiting).extend(unused)
    done = KeyStates(connection, realm).restrict(
        [key.key_id for key in free], KeyState.DECRYPT_ONLY
    )
    return Superseded(tuple(key for key in free if key.key_id in done), used, tuple(waiting))
