"""The tables that are rotated."""

from __future__ import annotations

import uuid

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vaultdb import Equality, access, encrypted


class Base(DeclarativeBase):
    metadata = MetaData()


class Patient(Base):
    __tablename__ = "patient"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = encrypted(str)
    email: Mapped[str | None] = encrypted(str, index=Equality(), nullable=True)


class Note(Base):
    """Names that must be quoted; a key of its own keyset; partitioned."""

    __tablename__ = "Odd Note"
    __table_args__ = {"postgresql_partition_by": 'RANGE ("select")'}
    select: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str | None] = encrypted(str, name="The %s text", keyset="notes", nullable=True)


class Bill(Base):
    """Rows are hidden from everybody but their tenant, and the rotator."""

    __tablename__ = "bill"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    amount: Mapped[str] = encrypted(str, tenant_column="tenant")


access(Patient)
access(Note)
access(Bill, tenant="tenant")
