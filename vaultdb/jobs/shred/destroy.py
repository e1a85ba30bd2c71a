"""Destroy keys and remove index values, in an order in which every interruption fails safe.

1. The tenant's KEK goes first. It is the only step that somebody may refuse, and then nothing has
   changed. Once it is done nothing else matters: what it wrapped opens nowhere any more, also not
   in old backups, however the rest ends.
2. The data keys become tombstones, so that no backup of the key table brings them back, and
   applications stop at their next look at the table.
3. Index values are removed, in batches. They open nothing, and only show which rows were equal.
4. The key table is backed up with its tombstones, and the certificate is made.

A run that was killed is run again: each step finds what is left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from vaultdb.db.key_states import KeyStates
from vaultdb.jobs.keybackup.backup import back_up_if_wanted
from vaultdb.jobs.shred.certificate import Destruction, Remains, body_of, final_at
from vaultdb.jobs.shred.index_values import scrub
from vaultdb.jobs.shred.remains import remains_of_subject, remains_of_tenant
from vaultdb.jobs.shred.target import own_keys
from vaultdb.keys.wrapped_key import KeyState
from vaultdb.roles.operations import record

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from vaultdb.db.keystore import PostgresKeyStore
    from vaultdb.jobs.keybackup.folder import Written
    from vaultdb.jobs.shred.target import Target
    from vaultdb.settings import Settings
    from vaultdb.vault.kek_deletion import KekDeletion

CHUNK_SIZE = 5000
"""Keys that become tombstones in one transaction."""


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What a run did: the certificate, and the backup of the key table if one is wanted."""

    certificate: Mapping[str, Any]
    backup: Written | None


@dataclass(frozen=True, slots=True, eq=False)
class Shredder:
    """Destroys what a target names.

    Args:
        store: the key table by the shredder's login, which has the rotator capability.
        settings: of the shredder.

    """

    store: PostgresKeyStore
    settings: Settings

    def tenant(
        self, target: Target, kek: KekDeletion | None, *, snapshot_days: int | None = None
    ) -> Destroyed:
        """Destroy a tenant: its KEK, its data keys, its index values.

        Args:
            target: from `find`.
            kek: the tenant's own; None when it has none.
            snapshot_days: that snapshots of Vault's storage are kept, for the certificate.

        Raises:
            VaultDenied: this role may not delete the KEK; nothing was changed.
            VaultUnavailable: Vault went away; run again.
            KeyUnavailable: the database went away; run again.

        """
        self._begun("keys shred begun", target)
        state, by = "kept", {}
        if kek is not None:
            state = "deleted" if kek.exists() else "absent"
            identity = kek.whoami()
            by = {"vault": identity.display_name, "vault_entity": identity.entity_id}
            kek.delete()
        path = None if kek is None else f"{kek.mount}/keys/{kek.kek}"

        def remains(now: datetime) -> list[Remains]:
            return remains_of_tenant(target, self.settings, now, snapshot_days=snapshot_days)

        return self._finish("keys shred", target, remains, by=by, kek=path, kek_state=state)

    def subject(self, target: Target) -> Destroyed:
        """Destroy the data keys of one data subject, in every keyset, and its index values.

        Raises:
            KeyUnavailable: the database went away; run again.

        """
        self._begun("keys erase-subject begun", target)

        def remains(now: datetime) -> list[Remains]:
            return remains_of_subject(target, self.settings, now)

        return self._finish("keys erase-subject", target, remains)

    def _finish(
        self,
        action: str,
        target: Target,
        remains: Callable[[datetime], list[Remains]],
        *,
        by: Mapping[str, str] | None = None,
        kek: str | None = None,
        kek_state: str = "kept",
    ) -> Destroyed:
        # Keys may have been made since the plan was shown and agreed to.
        target = replace(target, keys=own_keys(self.store, self.settings, target))
        destroyed = self._tombstones(target)
        rows = self._index_values(target)
        backup = back_up_if_wanted(self.store, self.settings)
        with self._connection("record what was done") as connection:
            now, login = connection.execute(
                select(func.clock_timestamp(), func.session_user())
            ).one()
            left = remains(now)
            body = body_of(
                Destruction(
                    realm=str(self.settings.realm),
                    tenant=target.tenant,
                    subject=target.subject,
                    at=now,
                    kek=kek,
                    kek_state=kek_state,
                    keys_destroyed=sorted(map(bytes.hex, destroyed)),
                    keys_before=sorted(
                        key.key_id.hex() for key in target.keys if key.key_id not in destroyed
                    ),
                    values=target.values,
                    index_rows=rows,
                    by={"postgresql": login, **(by or {})},
                    final_at=final_at(left),
                    remains=left,
                )
            )
            detail = {"certificate_sha256": body["sha256"], "keys": len(destroyed), "kek": kek}
            record(connection, action, _name(target), detail)
        return Destroyed(body, backup)

    def _tombstones(self, target: Target) -> frozenset[bytes]:
        destroyed: set[bytes] = set()
        for part in _parts(sorted(target.living)):
            with self._connection("destroy data keys") as connection:
                states = KeyStates(connection, self.settings.realm)
                destroyed |= states.restrict(part, KeyState.DESTROYED)
        return frozenset(destroyed)

    def _index_values(self, target: Target) -> dict[str, int]:
        def begin() -> AbstractContextManager[Connection]:
            return self._connection("remove index values")

        counts = {str(table): scrub(begin, table, target.match) for table in target.index_tables}
        return {table: rows for table, rows in counts.items() if rows}

    def _begun(self, action: str, target: Target) -> None:
        with self._connection("record what begins") as connection:
            record(connection, action, _name(target), {"keys": len(target.living)})

    def _connection(self, doing: str) -> AbstractContextManager[Connection]:
        return self.store.connection(self.settings.realm, doing)


def _name(target: Target) -> str:
    """Return what the record of operations calls it: a data subject's name is not repeated."""
    return f"tenant {target.tenant}" if target.subject is None else "data subject"


def _parts(ids: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(ids), CHUNK_SIZE):
        yield ids[start : start + CHUNK_SIZE]
