"""Run these migrations as the migrator, by `vaultdb migrate` or by `alembic`."""

from __future__ import annotations

from alembic import context
from clinic.models import Base

import vaultdb.alembic

vaultdb.alembic.run(context, Base.metadata)
