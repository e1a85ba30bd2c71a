"""What type checkers infer for declared attributes; run by mypy and pyright, not by pytest."""

from __future__ import annotations

import uuid
from datetime import date
from enum import Enum
from typing import assert_type

from sqlalchemy import ColumnElement, Integer, select
from sqlalchemy.orm import (
    DeclarativeBase,
    InstrumentedAttribute,
    Mapped,
    MappedAsDataclass,
    MappedColumn,
    mapped_column,
)

from vaultdb import Encrypted, Equality, columns, encrypted


class Blood(Enum):
    A = "a"


class Base(DeclarativeBase): ...


class Patient(Base):
    __tablename__ = "patient"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = encrypted(str)
    ssn: Mapped[str] = encrypted(str, index=Equality(unique=True), validate=str.isdigit)
    code: Mapped[str] = encrypted(str, subject="id", index=Equality(rekey_into="code_index_2"))
    born: Mapped[date | None] = encrypted(date, nullable=True)
    blood: Mapped[Blood] = encrypted(Blood, bind="column", pad=None)
    notes: Mapped[dict[str, int]] = encrypted(dict[str, int])
    city: Mapped[str | None] = encrypted(
        str, nullable=True, name="city_encrypted", adopts="city", plaintext="allow"
    )


class Recorded(MappedAsDataclass, DeclarativeBase): ...


class Record(Recorded):
    __tablename__ = "record"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, init=False)
    secret: Mapped[str] = mapped_column(Encrypted(str), repr=False)


def test_declarations() -> None:
    assert_type(encrypted(str), MappedColumn[str])
    assert_type(encrypted(str, nullable=False), MappedColumn[str])
    assert_type(encrypted(date, nullable=True), MappedColumn[date | None])
    assert_type(encrypted(Blood), MappedColumn[Blood])
    assert_type(Encrypted(bytes), Encrypted[bytes])
    assert_type(Encrypted(int).python_type, type[int])
    assert_type(encrypted(str, adopts="a", plaintext="empty"), MappedColumn[str])
    assert_type(Encrypted(str, adopts="a", plaintext="allow"), Encrypted[str])


def test_attributes(patient: Patient) -> None:
    assert_type(patient.name, str)
    assert_type(patient.born, date | None)
    assert_type(patient.blood, Blood)
    assert_type(Patient.name, InstrumentedAttribute[str])
    assert_type(Patient.ssn == "x", ColumnElement[bool])
    assert_type(Patient.ssn.in_(["x"]).compare(Patient.ssn.is_(None)), bool)
    assert_type(columns(Patient), str)
    select(Patient.name, Patient.born).where(Patient.ssn == "x")


def test_a_dataclass_takes_the_type_as_a_field() -> None:
    assert_type(Record(secret="x").secret, str)


def test_mistakes_are_found() -> None:
    encrypted(str, index="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue,reportArgumentType]
    encrypted(str, bind=7)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue,reportArgumentType]
    encrypted(str, plaintext="maybe")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue,reportArgumentType]
    encrypted("str")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue,reportArgumentType]
    encrypted(int, validate=str.isdigit)  # type: ignore[arg-type,misc,call-overload,unused-ignore]  # pyright: ignore[reportArgumentType]
