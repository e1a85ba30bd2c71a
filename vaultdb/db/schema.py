"""vaultdb's own tables, as `migrations` makes them; every statement of this package uses these."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

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
    Column("subject", Text, nullable=False, server_default=""),
    Column("state_changed_at", DateTime(timezone=True)),
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

job_table = Table(
    "job",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("spec", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="running"),
    Column("passes", Integer, nullable=False, server_default="0"),
    Column("estimated_rows", BigInteger, nullable=False, server_default="0"),
    Column("created_by", Text, nullable=False, server_default=func.session_user()),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

job_chunk_table = Table(
    "job_chunk",
    metadata,
    Column("job", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("lower", JSONB(none_as_null=True)),
    Column("upper", JSONB(none_as_null=True)),
    Column("position", JSONB(none_as_null=True)),
    Column("seen", BigInteger, nullable=False, server_default="0"),
    Column("changed", BigInteger, nullable=False, server_default="0"),
    Column("conflicts", BigInteger, nullable=False, server_default="0"),
    Column("quarantined", BigInteger, nullable=False, server_default="0"),
    Column("worker", Text),
    Column("lease_until", DateTime(timezone=True)),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
)

job_quarantine_table = Table(
    "job_quarantine",
    metadata,
    Column("job", BigInteger, primary_key=True),
    Column("row_key", JSONB, primary_key=True),
    Column("column_name", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

backup_manifest_table = Table(
    "backup_manifest",
    metadata,
    Column("name", Text, primary_key=True),
    Column("taken_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("key_ids", ARRAY(LargeBinary), nullable=False),
    Column("kek_versions", JSONB, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("released_at", DateTime(timezone=True)),
)
