"""Logins of PostgreSQL that Vault's database engine lends or rotates."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import hvac

from vaultdb.errors import VaultRejected
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.vault.adapter import VaultAdapter
from vaultdb.vault.answers import take
from vaultdb.vault.client import VaultClient


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """A login that exists until its lease ends.

    Args:
        user: made for this lease, never used before or after.
        password: secret.
        lease_id: names the lease; whoever may revoke can end it with this.
        obtained_at: seconds of the boot-time clock, taken before it was asked for.
        ttl: seconds from then on, as Vault says: it ends earlier with the token that asked.
        renewable: whether it can be renewed.
        token_generation: the login of the token that asked.

    """

    user: str
    password: str = field(repr=False)
    lease_id: str = field(repr=False)
    obtained_at: float
    ttl: float
    renewable: bool
    token_generation: int

    @property
    def expires_at(self) -> float:
        """The end of its life, if it is not renewed."""
        return self.obtained_at + self.ttl

    def __reduce__(self) -> NoReturn:
        raise TypeError("a lease holds a password and cannot be pickled or copied")


@dataclass(frozen=True, slots=True, eq=False)
class RotatedPassword:
    """The user of a static role and its password until the next rotation.

    Args:
        user: always the same.
        password: secret; dies at the rotation without any overlap.
        valid_until: seconds of the boot-time clock.

    """

    user: str
    password: str = field(repr=False)
    valid_until: float

    def __reduce__(self) -> NoReturn:
        raise TypeError("a password cannot be pickled or copied")


class DatabaseRole:
    """One role of the database engine.

    Args:
        client: logged in as somebody who may read the role's credentials.
        mount: the engine's path.
        role: the role's name; both come from the configuration.
        clock: seconds that also count while the machine sleeps.

    """

    def __init__(
        self, client: VaultClient, mount: str, role: str, clock: Clock = BOOT_TIME
    ) -> None:
        self.client = client
        self.clock = clock
        self.name = f"{mount.strip('/')}/{role}"
        self._mount = mount.strip("/")
        self._role = role

    def issue(self) -> Lease:
        """Have a login made. An answer that got lost leaves one behind, until its TTL ends.

        Raises:
            VaultError: as `VaultClient.call`.

        """

        def ask(vault: hvac.Client) -> tuple[Any, int]:
            answer = vault.secrets.database.generate_credentials(
                self._role, mount_point=self._mount
            )
            adapter = vault.adapter
            assert isinstance(adapter, VaultAdapter)
            return answer, adapter.token_generation

        asked_at = self.clock()
        answer, token_generation = self.client.call(ask)
        return Lease(
            user=str(take(answer, "data", "username")),
            password=str(take(answer, "data", "password")),
            lease_id=str(take(answer, "lease_id")),
            obtained_at=asked_at,
            ttl=_seconds(take(answer, "lease_duration")),
            renewable=bool(take(answer, "renewable")),
            token_generation=token_generation,
        )

    def renew(self, lease: Lease, ttl: float) -> Lease:
        """Prolong a lease; near the role's `max_ttl` it gets less than it asks for.

        Args:
            lease: one of this role.
            ttl: seconds from now on.

        Raises:
            VaultError: as `VaultClient.call`; rejected when Vault no longer knows the lease.

        """
        asked_at = self.clock()
        answer = self.client.call(
            lambda vault: vault.sys.renew_lease(lease.lease_id, increment=math.ceil(ttl))
        )
        granted = _seconds(take(answer, "lease_duration"))
        return replace(lease, obtained_at=asked_at, ttl=granted)

    def revoke(self, lease: Lease) -> None:
        """End a lease and the login's sessions with it; returns when the database has done it.

        Raises:
            VaultError: as `VaultClient.call`.

        """
        body = {"lease_id": lease.lease_id, "sync": True}
        self.client.call(lambda vault: vault.adapter.put("/v1/sys/leases/revoke", json=body))

    def rotated_password(self) -> RotatedPassword:
        """Read the login of a static role.

        Raises:
            VaultError: as `VaultClient.call`.

        """
        asked_at = self.clock()
        answer = self.client.call(
            lambda vault: vault.secrets.database.get_static_credentials(
                self._role, mount_point=self._mount
            )
        )
        return RotatedPassword(
            user=str(take(answer, "data", "username")),
            password=str(take(answer, "data", "password")),
            valid_until=asked_at + _seconds(take(answer, "data", "ttl")),
        )

    def __repr__(self) -> str:
        return f"<DatabaseRole {self.name}>"


def _seconds(value: object) -> float:
    if not isinstance(value, int | float):
        raise VaultRejected("vault's answer has no TTL in seconds; check vault.addr")
    return float(value)


def irrevocable_leases(client: VaultClient) -> int:
    """Count the leases that Vault has given up to revoke: their logins may still exist.

    Raises:
        VaultError: as `VaultClient.call`; denied to most roles.

    """
    path = "/v1/sys/leases/count"
    params = {"type": "irrevocable"}
    answer = client.call(lambda vault: vault.adapter.get(path, params=params))
    return int(take(answer, "data", "lease_count"))
