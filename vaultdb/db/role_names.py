"""The names of vaultdb's roles in PostgreSQL: one prefix, one word each.

Capability roles cannot log in; they own objects or hold privileges. Logins, static or leased
from Vault, hold nothing of their own: they are members.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from vaultdb.db.quoting import LONGEST_NAME
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings
from vaultdb.settings.model import ROLE_PREFIX

_LONGEST_WORD = len("audit_sequencer")


@dataclass(frozen=True, slots=True)
class RoleNames:
    """The capability roles' names, unquoted.

    Raises:
        ConfigurationError: a prefix that is empty, too long, or reserved by PostgreSQL.

    """

    prefix: str = ROLE_PREFIX

    def __post_init__(self) -> None:
        too_long = len(self.prefix.encode()) + _LONGEST_WORD > LONGEST_NAME
        if not self.prefix or too_long or self.prefix.startswith("pg_") or "\0" in self.prefix:
            raise ConfigurationError(
                "setting database.role_prefix: choose 1 to"
                f" {LONGEST_NAME - _LONGEST_WORD} bytes that do not begin with pg_"
            )

    @classmethod
    def of(cls, settings: DatabaseSettings) -> Self:
        """Return the names by the prefix of the settings."""
        return cls(settings.role_prefix)

    @property
    def owner(self) -> str:
        """Owns schemas and tables; only migrations act as this role."""
        return f"{self.prefix}owner"

    @property
    def audit_owner(self) -> str:
        """Owns the audit schema; nobody is a member."""
        return f"{self.prefix}audit_owner"

    @property
    def rw(self) -> str:
        """What the application may read and write."""
        return f"{self.prefix}rw"

    @property
    def ro(self) -> str:
        """What reports may read: no ciphertext unless it is declared."""
        return f"{self.prefix}ro"

    @property
    def officer(self) -> str:
        """Adds data keys."""
        return f"{self.prefix}officer"

    @property
    def rotator(self) -> str:
        """Replaces wrapped keys and re-encrypts: row keys and encrypted columns only."""
        return f"{self.prefix}rotator"

    @property
    def auditor(self) -> str:
        """Reads the audit schema, and changes nothing."""
        return f"{self.prefix}auditor"

    @property
    def sequencer(self) -> str:
        """Orders the audit log and stores its checkpoints; adds leaves, and changes no record."""
        return f"{self.prefix}sequencer"

    @property
    def backup(self) -> str:
        """Reads everything, passing row-level security; only backups act as this role."""
        return f"{self.prefix}backup"

    @property
    def all(self) -> tuple[str, ...]:
        """Every capability role, owners first."""
        return (
            self.owner, self.audit_owner, self.rw, self.ro,
            self.officer, self.rotator, self.auditor, self.sequencer, self.backup,
        )  # fmt: skip
