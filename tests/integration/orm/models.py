"""The tables of the statement matrix: one of every kind that encrypted columns must work in."""

from __future__ import annotations

import enum
import uuid
from datetime import date
from decimal import Decimal
from typing import Annotated

from sqlalchemy import (
    Column,
    DateTime,
    FetchedValue,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Sequence,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    column_property,
    deferred,
    mapped_column,
    relationship,
)

from vaultdb import Encrypted, Equality, encrypted


class Base(DeclarativeBase):
    metadata = MetaData()


class Blood(enum.Enum):
    A = "a"
    B = "b"


class Patient(Base):
    __tablename__ = "patient"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    ward: Mapped[str] = mapped_column(default="north")
    name: Mapped[str] = encrypted(str)
    ssn: Mapped[str | None] = encrypted(str, index=Equality(unique=True), nullable=True)
    born: Mapped[date | None] = encrypted(date, nullable=True)
    notes: Mapped[dict | None] = encrypted(dict, nullable=True)
    blood: Mapped[Blood | None] = encrypted(Blood, nullable=True)
    balance: Mapped[Decimal | None] = encrypted(Decimal, nullable=True)
    letter: Mapped[bytes | None] = deferred(mapped_column(Encrypted(bytes), nullable=True))
    visits: Mapped[list[Visit]] = relationship(back_populates="patient", order_by="Visit.id")
    tags: Mapped[list[Tag]] = relationship(secondary="patient_tag", order_by="Tag.id")

    @hybrid_property
    def initial(self) -> str:
        return self.name[0]

    @hybrid_property
    def is_north(self) -> bool:
        return self.ward == "north"


class Visit(Base):
    __tablename__ = "visit"
    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    patient_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("patient.id"))
    kind: Mapped[str] = mapped_column(default="visit")
    note: Mapped[str | None] = encrypted(str, nullable=True)
    patient: Mapped[Patient] = relationship(back_populates="visits")


Patient.visit_count = column_property(
    Base.metadata.tables["visit"]
    .select()
    .with_only_columns(func.count())
    .where(Visit.patient_id == Patient.id)
    .correlate_except(Visit)
    .scalar_subquery()
)

patient_tag = Table(
    "patient_tag",
    Base.metadata,
    Column("patient_id", ForeignKey("patient.id"), primary_key=True),
    Column("tag_id", ForeignKey("tag.id"), primary_key=True),
)


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = encrypted(str)


class Guardian(Base):
    """An association object: its key is composite and foreign."""

    __tablename__ = "guardian"
    patient_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("patient.id"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    phone: Mapped[str | None] = encrypted(str, nullable=True)
    patient: Mapped[Patient] = relationship()


class Node(Base):
    """A tree."""

    __tablename__ = "node"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    secret: Mapped[str | None] = encrypted(str, nullable=True)
    parent: Mapped[Node | None] = relationship(back_populates="children", remote_side=[id])  # noqa: A003
    children: Mapped[list[Node]] = relationship(back_populates="parent", order_by=id)  # noqa: A003


# -- inheritance ------------------------------------------------------------------------------


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    ssn: Mapped[str | None] = encrypted(str, nullable=True)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Doctor(Person):
    """Joined-table inheritance."""

    __tablename__ = "doctor"
    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    licence: Mapped[str | None] = encrypted(str, nullable=True)
    __mapper_args__ = {"polymorphic_identity": "doctor"}


class Nurse(Person):
    """Single-table inheritance."""

    badge: Mapped[str | None] = encrypted(str, nullable=True)
    __mapper_args__ = {"polymorphic_identity": "nurse"}


# -- keys -------------------------------------------------------------------------------------


class Country(Base):
    """A natural key."""

    __tablename__ = "country"
    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    secret: Mapped[str | None] = encrypted(str, nullable=True)


class Day(Base):
    """A date and a binary key."""

    __tablename__ = "day"
    day: Mapped[date] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(primary_key=True)
    secret: Mapped[str] = encrypted(str)


class Ticket(Base):
    """A sequence key."""

    __tablename__ = "ticket"
    id: Mapped[int] = mapped_column(Sequence("ticket_numbers", start=100), primary_key=True)
    secret: Mapped[str] = encrypted(str)


class Token(Base):
    """A key that the server makes."""

    __tablename__ = "token"
    id: Mapped[uuid.UUID] = mapped_column(
        Uuid, primary_key=True, server_default=text("gen_random_uuid()")
    )
    secret: Mapped[str] = encrypted(str)


class OddName(Base):
    """A quoted table with quoted columns, in a schema that must be quoted."""

    __tablename__ = "Odd Name"
    __table_args__ = {"schema": "Odd Schema"}
    id: Mapped[int] = mapped_column("Key", Integer, Identity(), primary_key=True)
    secret: Mapped[str] = encrypted(str, name="Secret %s")


class Freely(Base):
    """A column that is not bound to its row."""

    __tablename__ = "freely"
    id: Mapped[int] = mapped_column(primary_key=True)
    secret: Mapped[str | None] = encrypted(str, bind="column", nullable=True)


class Partly(Base):
    """A composite key of which one unique part binds the values."""

    __tablename__ = "partly"
    __table_args__ = (UniqueConstraint("id"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    month: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    secret: Mapped[str] = encrypted(str, bind=("id",))


# -- declarations -----------------------------------------------------------------------------

Secret = Annotated[str, mapped_column(Encrypted(str))]


class Audited:
    reason: Mapped[str | None] = encrypted(str, nullable=True)


class First(Audited, Base):
    __tablename__ = "first"
    id: Mapped[int] = mapped_column(primary_key=True)
    secret: Mapped[Secret]


class Second(Audited, Base):
    __tablename__ = "second"
    id: Mapped[int] = mapped_column(primary_key=True)
    secret: Mapped[Secret]


class Versioned(Base):
    __tablename__ = "versioned"
    id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column()
    secret: Mapped[str] = encrypted(str)
    __mapper_args__ = {"version_id_col": version}


class Stamped(Base):
    """Defaults of every kind."""

    __tablename__ = "stamped"
    id: Mapped[int] = mapped_column(primary_key=True)
    plain: Mapped[str] = mapped_column(default="p")
    fixed: Mapped[str] = encrypted(str, default="fixed")
    called: Mapped[str] = encrypted(str, default=lambda: "called")
    derived: Mapped[str] = encrypted(
        str, default=lambda context: context.get_current_parameters()["plain"] + "!"
    )
    touched: Mapped[str | None] = encrypted(str, nullable=True, onupdate=lambda: "touched")
    at: Mapped[object] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), server_onupdate=FetchedValue()
    )


class Recorded(MappedAsDataclass, DeclarativeBase):
    metadata = Base.metadata


class Record(Recorded):
    """A mapped dataclass."""

    __tablename__ = "record"
    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    secret: Mapped[str] = mapped_column(Encrypted(str), repr=False)
    plain: Mapped[str] = mapped_column(default="p")


core_note = Table(
    "core_note",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", String(40), unique=True),
    Column("body", Encrypted(str)),
    Column("extra", Encrypted(str)),
)
