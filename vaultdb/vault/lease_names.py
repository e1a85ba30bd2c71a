"""The names of the logins that Vault leases; exact, so that a policy can name each."""

from __future__ import annotations

from enum import StrEnum

LEASE_PREFIX = "vaultdb-"
"""What the names of the engine's roles begin with; a leased user is `v_vaultdb_app_rw_…`."""

USER_PREFIX = f"v_{LEASE_PREFIX.replace('-', '_')}"
"""What the names of leased logins begin with."""


class Lease(StrEnum):
    """The leased logins; the database engine's role is `vaultdb-` and this."""

    APP_RW = "app-rw"
    APP_RO = "app-ro"
    MIGRATOR = "migrator"
    ROTATOR = "rotator"
    OFFICER = "officer"
    AUDITOR = "auditor"
    SEQUENCER = "sequencer"
    BACKUP = "backup"

    @property
    def engine_role(self) -> str:
        """The name of the database engine's role."""
        return f"{LEASE_PREFIX}{self}"
