"""Object audit logging by the extension pgaudit, for the encrypted columns of models.

pgaudit writes a line into the server's log for each statement that touches what its audit role
has been granted: also plain SQL, which decrypts nothing and so is not in vaultdb's own log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import MetaData, Table

from vaultdb.db.privileges import Privilege
from vaultdb.db.quoting import literal, qualified, quote_name
from vaultdb.errors import ConfigurationError
from vaultdb.orm.attachment import encrypted_columns

AUDIT_ROLE = "pgaudit_vaultdb"
"""Outside of vaultdb's prefix: it holds grants that only tell pgaudit what to log."""

PRIVILEGES = ("SELECT", "INSERT", "UPDATE")


def pgaudit_sql(
    models: Iterable[MetaData], database: str, *, role: str = AUDIT_ROLE, schema: str = "public"
) -> str:
    """Return SQL that has pgaudit log who touches encrypted columns; a DBA reads and runs it.

    Args:
        models: whose encrypted columns are watched.
        database: its name, unquoted.
        role: the audit role; nobody logs in as it, and nobody is a member.
        schema: of tables without one.

    Raises:
        ConfigurationError: no model has an encrypted column.

    """
    grants = [line for metadata in models for line in _grants(metadata, role, schema)]
    if not grants:
        raise ConfigurationError("the models have no encrypted columns; say --model MODULE:NAME")
    quoted, name = quote_name(role), quote_name(database)
    lines = [
        "-- Read it, then run it with psql; shared_preload_libraries must have pgaudit.",
        "CREATE EXTENSION IF NOT EXISTS pgaudit;",
        "DO $$ BEGIN",
        f"  IF to_regrole({literal(quoted)}) IS NULL THEN CREATE ROLE {quoted} NOLOGIN; END IF;",
        "END $$;",
        f"ALTER DATABASE {name} SET pgaudit.role = {literal(role)};",
        "-- Values of parameters would be written into the log.",
        f"ALTER DATABASE {name} SET pgaudit.log_parameter = off;",
        *grants,
    ]
    return "\n".join(lines)


def _grants(metadata: MetaData, role: str, schema: str) -> Iterator[str]:
    for table in metadata.sorted_tables:
        columns = encrypted_columns(table)
        for column in columns:
            name = ".".join((_table_name(table, schema), quote_name(column.name)))
            for privilege in PRIVILEGES:
                yield Privilege("column", name, privilege).grant(quote_name(role)) + ";"


def _table_name(table: Table, schema: str) -> str:
    return qualified(table.schema or schema, table.name)
