"""Write into the append-only record of operations, which `roles apply` makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text

from vaultdb.db.audit_schema import AUDIT_SCHEMA

COLUMNS = ("action", "object", "detail")
"""What a writer gives; the server adds the rest, so that nobody writes in another's name."""

# Asked of the catalogues: who may not use the schema may not even ask to_regclass about it.
_MAY_WRITE = text("""
    SELECT bool_and(
        pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'INSERT'))
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY(:columns)
    WHERE n.nspname = :schema AND c.relname = 'operation'
""")
_WRITE = text("""
    INSERT INTO vaultdb_audit.operation (action, object, detail)
    VALUES (:action, :object, CAST(:detail AS jsonb))
""")


def record(
    connection: Connection,
    action: str,
    object: str,  # noqa: A002  # as the column is named
    detail: Mapping[str, Any],
) -> bool:
    """Write one row in the transaction of `connection`; say whether it could be written.

    Args:
        connection: its login is noted by the server, whatever role it has taken.
        action: what was done, such as `migrate up`.
        object: to what.
        detail: more about it, as JSON; never a value or a secret.

    Returns:
        False when there is no such table yet, or the current role may not write to it.

    """
    asked = {"schema": AUDIT_SCHEMA, "columns": list(COLUMNS)}
    if not connection.scalar(_MAY_WRITE, asked):
        return False
    values = {"action": action, "object": object, "detail": json.dumps(dict(detail), default=str)}
    connection.execute(_WRITE, values)
    return True
