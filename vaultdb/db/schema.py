"""vaultdb's own tables, as `migrations` makes them; every statement of this package uses these."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
)

SCHEMA = "vaultdb"
MIGRATIONS_SCHEMA = "vaultdb_migrations"
"""Holds the version table of the user's migrations; the owner's alone, no other role sees it."""

metadata = MetaData(schema=SCHEMA)

realm_table = Table(
    "realm",
    metadata,
    Column("realm", Uuid, primary_key=True),
    Column("only_row", Boolean, nullable=False, server_default="true"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

data_key_table = Table(
    "data_key",
    metadata,
    Column("key_id", LargeBinary, primary_key=True),
    Column("realm", Uuid, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("keyset", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default="active"),
    Column("kek_version", Integer, nullable=False),
    Column("wrapped", Text, nullable=False),
    Column("wrapped_prev", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("rewrapped_at", DateTime(timezone=True)),
)

logical_name_table = Table(
    "logical_name",
    metadata,
    Column("name", Text, primary_key=True),
    Column("schema_name", Text, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("column_name", Text, nullable=False),
    Column("type_tag", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("retired_at", DateTime(timezone=True)),
)
