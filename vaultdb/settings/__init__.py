"""Settings: `vaultdb.toml`, its profiles and roles, and `VAULTDB_*` variables over them."""

from __future__ import annotations

from vaultdb.settings.audit import AuditSettings
from vaultdb.settings.model import (
    DatabaseSettings,
    KeyringSettings,
    KeysetSettings,
    LocalSettings,
    Settings,
    VaultSettings,
)

__all__ = [
    "AuditSettings",
    "DatabaseSettings",
    "KeyringSettings",
    "KeysetSettings",
    "LocalSettings",
    "Settings",
    "VaultSettings",
]
