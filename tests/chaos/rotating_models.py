"""The tables that are re-encrypted while something happens to them, as the command imports them."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vaultdb import Equality, access, encrypted

LOGICAL_NAME = "Odd Table.body"


class Base(DeclarativeBase):
    metadata = MetaData()


class Note(Base):
    __tablename__ = "Odd Table"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[str] = encrypted(str, logical_name=LOGICAL_NAME)
    email: Mapped[str | None] = encrypted(str, index=Equality(), nullable=True)


class Counter(Base):
    """Every increment that is lost shows."""

    __tablename__ = "counter"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int] = encrypted(int)


class Moving(Base):
    """Values that are bound to their column stay valid when the row's key changes."""

    __tablename__ = "moving"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[str] = encrypted(str, bind="column")


class Parted(Base):
    __tablename__ = "parted"
    __table_args__ = {"postgresql_partition_by": "RANGE (id)"}
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[str] = encrypted(str)


class NextBase(DeclarativeBase):
    metadata = MetaData()


class NextNote(NextBase):
    """`Note` of the next release, whose column has another name."""

    __tablename__ = "Odd Table"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[str] = encrypted(str, name="Odd contents", logical_name=LOGICAL_NAME)
    email: Mapped[str | None] = encrypted(str, index=Equality(), nullable=True)


for model in (Note, Counter, Moving, Parted, NextNote):
    access(model)
