"""A role of Vault's that leases what a test says, and a renewal that only the test drives."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from tests.unit.keys.support import FakeClock
from vaultdb.errors import VaultDBError
from vaultdb.vault.leases import Lease


class FakeClient:
    timeout = 1.0
    token_generation = 1

    def tell(self, follower: Any) -> None:
        self.follower = follower


class FakeRole:
    """A role whose leases live 100 s, and 300 s with all renewals."""

    name = "vaultdb-database/vaultdb-app-rw"

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.client = FakeClient()
        self.ttl, self.max_ttl = 100.0, 300.0
        self.renewable = True
        self.issued: list[Lease] = []
        self.revoked: list[str] = []
        self.failure: VaultDBError | None = None
        self.renewal_failure: VaultDBError | None = None
        self.revocation_failure: VaultDBError | None = None
        self.entered = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def issue(self) -> Lease:
        self.entered.set()
        self.may_answer.wait(5)
        if self.failure is not None:
            raise self.failure
        number = len(self.issued) + 1
        token = self.client.token_generation
        lease = Lease(
            f"v_{number}", f"SECRET-{number}", f"SECRET-ID-{number}", self.clock(), self.ttl,
            self.renewable, token,
        )  # fmt: skip
        self.issued.append(lease)
        return lease

    def renew(self, lease: Lease, ttl: float) -> Lease:
        if self.renewal_failure is not None:
            raise self.renewal_failure
        first = next(one for one in self.issued if one.lease_id == lease.lease_id)
        end = first.obtained_at + self.max_ttl
        granted = min(ttl, end - self.clock())
        return replace(lease, obtained_at=self.clock(), ttl=granted)

    def revoke(self, lease: Lease) -> None:
        if self.revocation_failure is not None:
            raise self.revocation_failure
        self.revoked.append(lease.user)


class NoThread:
    def __init__(self, *_: Any) -> None:
        self.woken = 0

    def start(self) -> bool:
        return True

    def wake(self) -> None:
        self.woken += 1

    def stop(self) -> None:
        pass
