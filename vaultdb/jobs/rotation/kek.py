"""Rotate KEKs and rewrap; keep a copy of the key table; open every key once where that may be."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vaultdb.db.rewraps import RewrapTable
from vaultdb.jobs import rewrap
from vaultdb.jobs.keybackup.backup import back_up_if_wanted
from vaultdb.jobs.keybackup.folder import Written
from vaultdb.jobs.verify import Verified, verify

if TYPE_CHECKING:
    from vaultdb.jobs.rewrap import Plan, Progress, Rewrapped
    from vaultdb.jobs.rotation.logins import Logins


@dataclass(frozen=True, slots=True)
class KekDone:
    """What was done.

    Args:
        rewrapped: with what failed.
        verified: None when nobody here may open keys, or nobody asked for it.
        unverified: keys that are still to be opened.
        seconds: that it took.

    """

    rewrapped: Rewrapped
    verified: Verified | None
    unverified: int
    seconds: float

    @property
    def has_failed(self) -> bool:
        """Whether a key could not be rewrapped or does not open."""
        found = self.verified
        return bool(self.rewrapped.failures or (found and (found.taken_back or found.broken)))


@dataclass(frozen=True, slots=True)
class KekRotation:
    """The half of a rotation that touches no row.

    Args:
        logins: of every role.
        tenant: the only one whose keys are rewrapped; None for all.
        rotates: None rotates the KEK unless an earlier rotation is unfinished.

    """

    logins: Logins
    tenant: str | None
    rotates: bool | None

    def plan(self) -> Plan:
        """Look at KEKs and key table; changes nothing."""
        with self.logins.provider("rotator") as provider, self.logins.store("rotator") as store:
            table = RewrapTable(store, self.logins.load("rotator").realm)
            return rewrap.plan(provider, table, rotate=self.rotates, tenant=self.tenant)

    def run(self, agreed: Plan, *, progress: Progress, verifies: bool) -> KekDone:
        """Carry out a plan.

        Args:
            agreed: from `plan`.
            progress: told about every chunk.
            verifies: whether the role reencryptor opens every rewrapped key afterwards.

        Raises:
            KeyUnavailable: Vault or PostgreSQL went away; run again to go on.

        """
        started = time.monotonic()
        realm = self.logins.load("rotator").realm
        with self.logins.provider("rotator") as provider, self.logins.store("rotator") as store:
            table = RewrapTable(store, realm)
            done = rewrap.run(agreed, provider, table, progress=progress)
            seconds = time.monotonic() - started
            found = self._verify(table) if verifies else None
            unverified = table.survey(done.kek_version).unverified
            return KekDone(done, found, unverified, seconds)

    def back_up(self) -> Written | None:
        """Write a backup of the key table when the settings name a folder."""
        with self.logins.store("rotator") as store:
            return back_up_if_wanted(store, self.logins.load("rotator"))

    def _verify(self, table: RewrapTable) -> Verified:
        with self.logins.provider("reencryptor") as provider:
            return verify(provider, table)
