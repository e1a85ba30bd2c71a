"""Migrations under a role of their own: operations, autogenerate, lints, and the env.py helper."""

from __future__ import annotations

from vaultdb.alembic.env import run
from vaultdb.alembic.patience import Patience

__all__ = ["Patience", "run"]
