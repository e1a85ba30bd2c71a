"""What a migration leaves behind about access: facts before and after, and their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import astuple
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from vaultdb.db.schema import MIGRATIONS_SCHEMA, SCHEMA
from vaultdb.roles.live import live_facts

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from vaultdb.db.role_names import RoleNames
    from vaultdb.roles.fact import Fact


def schemas_of(metadata: Iterable[MetaData], default: str) -> set[str]:
    """Return the schemas that migrations touch: vaultdb's own and those of the models."""
    declared = {table.schema or default for each in metadata for table in each.tables.values()}
    return {SCHEMA, MIGRATIONS_SCHEMA, default, *declared}


def of(connection: Connection, schemas: Collection[str], names: RoleNames) -> frozenset[Fact]:
    """Return what is true about access in those schemas."""
    return live_facts(connection, sorted(schemas), names)


def digest(facts: Iterable[Fact]) -> str:
    """Return the SHA-256 of facts, whatever their order, in hexadecimal."""
    rows = json.dumps(sorted(astuple(fact) for fact in facts), ensure_ascii=False)
    return hashlib.sha256(rows.encode()).hexdigest()
