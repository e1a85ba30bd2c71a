"""Rules for migrations that nobody else has; `check` finds what breaks them."""

from __future__ import annotations

from vaultdb.alembic.lints.checking import check
from vaultdb.alembic.lints.finding import Finding
from vaultdb.alembic.lints.rules import REMEDIES

__all__ = ["REMEDIES", "Finding", "check"]
