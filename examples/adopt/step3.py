"""The old column is gone."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import vaultdb
from vaultdb import Equality, encrypted


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customer"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    ssn: Mapped[str | None] = encrypted(str, name="ssn_encrypted", index=Equality(), nullable=True)


vaultdb.access(Customer)
