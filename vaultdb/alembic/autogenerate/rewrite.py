"""Turn what Alembic has found into what encrypted columns and declared access need."""

from __future__ import annotations

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import UpgradeOps

from vaultdb.alembic.autogenerate.seen import Seen


def rewrite(context: AutogenContext, operations: UpgradeOps, seen: Seen) -> None:
    """Change the operations of an upgrade in place; the downgrade is made from them."""
    del context, operations, seen
