"""The clinic's table."""

from __future__ import annotations

import uuid
from datetime import date

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import vaultdb
from vaultdb import Equality, encrypted


class Base(DeclarativeBase):
    pass


class Patient(Base):
    """A patient of one practice, whose name stands in the clear so that rows can be filtered by it.

    `tenant_column` ties each value to that column: a row that is moved to another practice behind
    the application's back does not decrypt.
    """

    __tablename__ = "patient"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    practice: Mapped[str] = mapped_column(index=True)
    name: Mapped[str] = encrypted(str, tenant_column="practice")
    ssn: Mapped[str] = encrypted(str, index=Equality(unique=True), tenant_column="practice")
    born: Mapped[date] = encrypted(date, tenant_column="practice")
    notes: Mapped[str | None] = encrypted(str, nullable=True, tenant_column="practice")


# Row-level security shows the application the rows of whoever's practice it acts for: a query that
# forgets its WHERE stays in the practice. Reports may read ids and practices, nothing encrypted.
vaultdb.access(Patient, tenant="practice")
