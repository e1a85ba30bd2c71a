"""The login roles beside those that Vault leases: one for each kind of work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vaultdb.db.role_names import RoleNames

_READ_ONLY = MappingProxyType({"default_transaction_read_only": "on"})


@dataclass(frozen=True, slots=True)
class StaticLogin:
    """A login that holds nothing of its own: it is a member of one capability role.

    Args:
        name: unquoted.
        capability: the role that it is a member of, unquoted.
        connections: sessions at the same time; what a login already has is kept.
        acts_as_capability: take the role at login instead of inheriting it. What a migration
            makes must belong to the owner, and BYPASSRLS is an attribute, which is not inherited.
        settings: for its sessions in this database.

    """

    name: str
    capability: str
    connections: int
    acts_as_capability: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


def static_logins(names: RoleNames) -> tuple[StaticLogin, ...]:
    """Return every static login that vaultdb knows, whether it exists or not."""
    prefix = names.prefix
    return (
        StaticLogin(
            f"{prefix}migrator", names.owner, 5, acts_as_capability=True,
            settings={
                "statement_timeout": "15min",
                "lock_timeout": "3s",
                "idle_in_transaction_session_timeout": "15min",
            },
        ),
        StaticLogin(f"{prefix}app", names.rw, 90),
        StaticLogin(f"{prefix}app_read", names.ro, 40, settings=_READ_ONLY),
        StaticLogin(f"{prefix}key_officer", names.officer, 5),
        StaticLogin(f"{prefix}key_rotator", names.rotator, 20),
        StaticLogin(
            f"{prefix}audit_reader", names.auditor, 5,
            settings={**_READ_ONLY, "search_path": "vaultdb_audit, pg_temp"},
        ),
        StaticLogin(
            f"{prefix}audit_sequencer", names.sequencer, 8,
            settings={"search_path": "vaultdb_audit, pg_temp"},
        ),
        StaticLogin(
            f"{prefix}backup_reader", names.backup, 3, acts_as_capability=True,
            settings={
                **_READ_ONLY,
                "statement_timeout": "0",
                "idle_in_transaction_session_timeout": "0",
            },
        ),
    )  # fmt: skip


def engine_login(names: RoleNames) -> str:
    """Return the name, unquoted, of the login with which Vault makes and drops leased logins."""
    return f"{names.prefix}vault"


def admin_schema(names: RoleNames) -> str:
    """Return the name, unquoted, of the schema with what the engine's login may call."""
    return f"{names.prefix}admin"
