"""Run the demo's migrations as the migrator, by `vaultdb migrate` or by `alembic`."""

from __future__ import annotations

from alembic import context

import vaultdb.alembic
from vaultdb.demo.model import Base

vaultdb.alembic.run(context, Base.metadata)
