"""The tables of the audit log, as `roles apply` makes them (`vaultdb/roles/sql/audit.sql`)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)

AUDIT_SCHEMA: Final = "vaultdb_audit"
"""The schema of the log; its owner is a role of its own."""

metadata = MetaData(schema=AUDIT_SCHEMA)

chain = Table(
    "chain",
    metadata,
    Column("chain", Uuid, primary_key=True),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("login", Text, nullable=False),
    Column("opening", Text, nullable=False),
    Column("sequenced", BigInteger, nullable=False),
    Column("done", Boolean, nullable=False),
)
"""Who opened each chain, and how far it has leaves."""

event = Table(
    "event",
    metadata,
    Column("recorded_at", DateTime(timezone=True), primary_key=True),
    Column("chain", Uuid, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)
"""The records, by month of `recorded_at`; time and body are text, exactly as authenticated."""

leaf = Table(
    "leaf",
    metadata,
    Column("index", BigInteger, primary_key=True),
    Column("chain", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
"""The leaves of the tree, in order."""

checkpoint = Table(
    "checkpoint",
    metadata,
    Column("epoch", Integer, primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("frontier", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("signed_at", DateTime(timezone=True), nullable=False),
)
"""Signed sizes and roots of the tree."""

cut = Table(
    "cut",
    metadata,
    Column("chain", Uuid, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("mac", LargeBinary, nullable=False),
    Column("month", Date, nullable=False),
)
"""The last dropped record of chains whose beginning is past retention."""

WRITTEN: Final = {"chain": ("chain", "opening"), "event": ("chain", "seq", "at", "body", "mac")}
"""The columns that a writer gives; the server adds the rest."""
