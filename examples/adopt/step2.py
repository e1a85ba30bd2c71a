"""Everything is encrypted: the old column is not read, and each write empties it."""

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
    ssn_in_the_clear: Mapped[str | None] = mapped_column("ssn", Text)
    ssn: Mapped[str | None] = encrypted(
        str,
        name="ssn_encrypted",
        adopts="ssn",
        plaintext="empty",
        index=Equality(),
        nullable=True,
    )


vaultdb.access(Customer)
