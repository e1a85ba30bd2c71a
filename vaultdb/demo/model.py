"""The demo's table: every column of Synthea's patients but the id is encrypted."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vaultdb.demo.data import Gender
from vaultdb.orm import Equality, encrypted
from vaultdb.roles.access import access


class Base(DeclarativeBase):
    """The demo's own metadata."""


class Patient(Base):
    """One patient: a random id in the clear, everything about the person encrypted."""

    __tablename__ = "patient"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    ssn: Mapped[str] = encrypted(str, index=Equality(unique=True))
    born: Mapped[date] = encrypted(date)
    died: Mapped[date | None] = encrypted(date, nullable=True)
    drivers_licence: Mapped[str | None] = encrypted(str, nullable=True)
    passport: Mapped[str | None] = encrypted(str, nullable=True)
    prefix: Mapped[str | None] = encrypted(str, nullable=True)
    first_name: Mapped[str] = encrypted(str)
    last_name: Mapped[str] = encrypted(str, index=Equality())
    suffix: Mapped[str | None] = encrypted(str, nullable=True)
    maiden_name: Mapped[str | None] = encrypted(str, nullable=True)
    marital_status: Mapped[str | None] = encrypted(str, nullable=True)
    race: Mapped[str] = encrypted(str)
    ethnicity: Mapped[str] = encrypted(str)
    gender: Mapped[Gender] = encrypted(Gender)
    birthplace: Mapped[str] = encrypted(str)
    address: Mapped[str] = encrypted(str)
    city: Mapped[str] = encrypted(str)
    state: Mapped[str] = encrypted(str)
    county: Mapped[str | None] = encrypted(str, nullable=True)
    zip: Mapped[str | None] = encrypted(str, nullable=True)
    latitude: Mapped[float] = encrypted(float)
    longitude: Mapped[float] = encrypted(float)
    expenses: Mapped[Decimal] = encrypted(Decimal)
    coverage: Mapped[Decimal] = encrypted(Decimal)


access(Patient)
