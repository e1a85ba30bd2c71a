"""What type checkers accept as a declaration of access; run by mypy and pyright, not by pytest."""

from __future__ import annotations

from typing import assert_type

from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vaultdb import Grant, access
from vaultdb.roles.access import Access


class Base(DeclarativeBase): ...


class Patient(Base):
    __tablename__ = "patient"
    id: Mapped[int] = mapped_column(primary_key=True)


table = Table("t", MetaData(), Column("id", Integer))

assert_type(access(Patient), Access)
assert_type(access(table, rw="select", ro=["id"], tenant="id"), Access)
access(Patient, rw={"select", "insert"}, ro=(), rotator=False, own_policies=True)
access(Patient, rw=Grant(select=True, update=["id"]), others={"reports": Grant(select=("id",))})

access("patient")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
access(Patient, others={"reports": "select"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
Grant(delete=["id"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
