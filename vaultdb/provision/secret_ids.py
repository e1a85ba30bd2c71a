"""What a role logs in with: its role id and a new secret id."""

from __future__ import annotations

from dataclasses import dataclass, field

from vaultdb.errors import ConfigurationError
from vaultdb.provision.access import policy_name
from vaultdb.vault.answers import NotFound, take
from vaultdb.vault.client import VaultClient
from vaultdb.vault.login.approle import MOUNT
from vaultdb.vault.policies import Role

WRAP_TTL = 300
"""Seconds that a wrapped secret id waits for its role: as long as a deployment takes."""


@dataclass(frozen=True, slots=True)
class AppRole:
    """What a role logs in with.

    Args:
        role_id: a name, not a secret.
        secret_id: secret; a wrapping token, good for one use, when it was asked for wrapped.

    """

    role_id: str
    secret_id: str = field(repr=False)


def issue_secret_id(
    client: VaultClient, role: Role, *, mount: str = MOUNT, wrap_ttl: int | None = WRAP_TTL
) -> AppRole:
    """Issue a secret id to a role.

    Args:
        client: logged in as an administrator.
        role: who is to log in.
        mount: of the AppRole method.
        wrap_ttl: seconds that the wrapping token lives; None gives the bare secret id.

    Raises:
        ConfigurationError: Vault has no such role.

    """
    name = policy_name(role)
    try:
        found = client.call(lambda vault: vault.auth.approle.read_role_id(name, mount_point=mount))
    except NotFound:
        raise ConfigurationError(
            f"vault has no approle {name} in {mount}: run vaultdb provision vault"
        ) from None
    answer = client.call(
        lambda vault: vault.auth.approle.generate_secret_id(
            name, mount_point=mount, wrap_ttl=None if wrap_ttl is None else f"{wrap_ttl}s"
        ),
        repeatable=False,
    )
    names = ("data", "secret_id") if wrap_ttl is None else ("wrap_info", "token")
    return AppRole(str(take(found, "data", "role_id")), str(take(answer, *names)))
