"""Loggers below `vaultdb`: silent until the application configures logging; no secrets."""

from __future__ import annotations

import logging

logging.getLogger("vaultdb").addHandler(logging.NullHandler())

KEYS = logging.getLogger("vaultdb.keys")
"""Data keys that cannot be had, and that can be had again; first keys that were made."""
VAULT = logging.getLogger("vaultdb.vault")
"""Logins and renewals."""
MIGRATIONS = logging.getLogger("vaultdb.migrations")
"""What a migration waits for, and what it could not record."""
JOBS = logging.getLogger("vaultdb.jobs")
"""What work over rows waits for, and workers that were lost."""
ADOPTION = logging.getLogger("vaultdb.adoption")
"""Columns whose plaintext is still written and read."""
AUDIT = logging.getLogger("vaultdb.audit")
"""An audit log that cannot be written, and that can be written again."""
