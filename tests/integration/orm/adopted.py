"""Tables whose plaintext columns are being adopted, and rows in both states."""

from __future__ import annotations

import enum
import uuid
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Time,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from vaultdb import Encrypted, Equality, encrypted


class Base(DeclarativeBase):
    metadata = MetaData()


class Blood(enum.Enum):
    A = "a"
    B = "b"


class Person(Base):
    __tablename__ = 'Odd "person"'
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    ward: Mapped[str] = mapped_column(default="north")
    ssn_plain: Mapped[str | None] = mapped_column("select", Text)
    ssn: Mapped[str | None] = encrypted(
        str,
        name="ssn_encrypted",
        nullable=True,
        adopts="select",
        plaintext="allow",
        index=Equality(),
    )
    notes: Mapped[list[Note]] = relationship(order_by="Note.id")


class Note(Base):
    __tablename__ = "adopted_note"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey('Odd "person".id'))
    body: Mapped[str | None] = encrypted(
        str, name="body_encrypted", nullable=True, adopts="body", plaintext="allow", bind="column"
    )
    __table_args__ = ()


Note.__table__.append_column(Column("body", String(40)))  # type: ignore[attr-defined]

TYPES: dict[str, tuple[Any, Any, Any]] = {
    "str": (str, String(20), 'Ä "quoted" \\ \u2028'),
    "bytes": (bytes, LargeBinary, b"\x00\xff\\x"),
    "int": (int, Integer, -7),
    "float": (float, Float, 0.1 + 0.2),
    "bool": (bool, Boolean, False),
    "decimal": (Decimal, Numeric(12, 4), Decimal("-12.3400")),
    "date": (date, Date, date(2024, 2, 3)),
    "datetime": (datetime, DateTime, datetime(2024, 2, 3, 4, 5, 6, 789)),  # noqa: DTZ001
    "time": (time, Time, time(4, 5, 6, 789)),
    "uuid": (uuid.UUID, Uuid, uuid.UUID(int=7)),
    "enum": (Blood, Enum(Blood, name="blood"), Blood.B),
    "dict": (dict, JSONB, {"a": [1, 1.5, None, {"b": "ü"}]}),
    "list": (list, JSONB, [1, "two", None]),
}
"""For each supported type: Python's, the plaintext column's, and a value."""

every_type = Table(
    "every_type",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    *(Column(name, stored) for name, (_, stored, _) in TYPES.items()),
    *(
        Column(f"{name}_encrypted", Encrypted(type_, adopts=name, plaintext="allow"))
        for name, (type_, _, _) in TYPES.items()
    ),
)
