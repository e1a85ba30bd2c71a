"""Fixtures: tables to declare access for, and the names of the roles."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vaultdb import Equality, encrypted
from vaultdb.db.role_names import RoleNames

NAMES = RoleNames("v_")


@pytest.fixture
def base() -> type[DeclarativeBase]:
    return type("Base", (DeclarativeBase,), {"metadata": MetaData()})


@pytest.fixture
def patient(base):
    class Patient(base):
        __tablename__ = "patient"
        id: Mapped[int] = mapped_column(primary_key=True)
        tenant_id: Mapped[uuid.UUID]
        created: Mapped[str] = mapped_column("created_at")
        ssn: Mapped[str] = encrypted(str, index=Equality(), tenant_column="tenant_id")
        notes: Mapped[str] = encrypted(str, bind=("id",))

    return Patient


@pytest.fixture
def table() -> Table:
    """A table without encrypted columns."""
    columns = [Column("id", Integer, primary_key=True), Column("a", Text), Column("b", Text)]
    return Table("t", MetaData(), *columns)
