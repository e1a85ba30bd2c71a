"""Run vaultdb's own migrations on the connection, or into the buffer, that `vaultdb.db` provides.

Not meant for the `alembic` command: the login, the lock, the realm and the grants are handled
by `vaultdb migrate` (`vaultdb.db.migrations`).
"""

from __future__ import annotations

from alembic import context

attributes = context.config.attributes
options = {
    "version_table_schema": "vaultdb",
    "target_metadata": None,
    "on_version_apply": attributes.get("on_version_apply"),
}

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, **options)
else:
    context.configure(connection=attributes["connection"], **options)

with context.begin_transaction():
    context.run_migrations()
