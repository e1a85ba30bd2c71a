"""Run vaultdb's own migrations; `vaultdb migrate` gives the session, and handles what is around.

Not meant for the `alembic` command: the realm and the grants belong to the same transaction.
"""

from __future__ import annotations

from alembic import context

import vaultdb.alembic

vaultdb.alembic.run(context, version_table_schema="vaultdb", transaction_per_migration=False)
