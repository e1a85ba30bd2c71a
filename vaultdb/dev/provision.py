"""Set a Vault up for vaultdb: transit mount, key-encryption key, policies, AppRoles.

Every step looks first, so that it can be repeated after a start that was cut short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vaultdb.dev.vault_api import VaultApi
from vaultdb.settings.model import KEK, TRANSIT_MOUNT
from vaultdb.vault.policies import Role, render_policy

TOKEN_PERIOD = "1h"  # noqa: S105  # a duration: renewable for ever, dead an hour after its client


@dataclass(frozen=True, slots=True)
class AppRole:
    """What a role logs in with; the secret id is secret."""

    role_id: str
    secret_id: str = field(repr=False)


def provision(admin: VaultApi, *, mount: str = TRANSIT_MOUNT, kek: str = KEK) -> None:
    """Create what vaultdb needs and is missing."""
    create_transit(admin, mount=mount, kek=kek)
    if not admin.exists("sys/auth/approle/tune"):
        admin.write("sys/auth/approle", type="approle")
    for role in Role:
        admin.write(
            f"sys/policies/acl/vaultdb-{role}", policy=render_policy(role, mount=mount, kek=kek)
        )
        admin.write(
            f"auth/approle/role/vaultdb-{role}",
            token_policies=[f"vaultdb-{role}"],
            token_no_default_policy=True,  # the policy says what a token may do with itself
            token_period=TOKEN_PERIOD,
            token_type="service",  # noqa: S106  # a kind of token
        )


def create_transit(admin: VaultApi, *, mount: str, kek: str) -> None:
    """Create the transit mount and its key-encryption key."""
    if not admin.exists(f"sys/mounts/{mount}/tune"):
        admin.write(f"sys/mounts/{mount}", type="transit")
    if not admin.exists(f"{mount}/keys/{kek}"):
        admin.write(f"{mount}/keys/{kek}", type="aes256-gcm96", derived=True, exportable=False)
    # encrypting under a misspelt key name must fail, not create that key
    admin.write(f"{mount}/config/keys", disable_upsert=True)


def issue_approle(admin: VaultApi, role: str) -> AppRole:
    """Return a role's id and a new secret id."""
    path = f"auth/approle/role/vaultdb-{role}"
    role_id: dict[str, Any] = admin.read(f"{path}/role-id")
    secret_id = admin.write(f"{path}/secret-id")
    return AppRole(role_id["data"]["role_id"], secret_id["data"]["secret_id"])
