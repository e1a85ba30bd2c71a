"""`assert_encrypted` on the shapes of mapping that applications have, on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar

import pytest
from sqlalchemy import Engine, ForeignKey, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.fixtures.postgres import Database
from vaultdb import DecryptionError, Encrypted, Equality, encrypted
from vaultdb.testing import assert_encrypted


class Base(DeclarativeBase): ...


class Person(Base):
    __tablename__ = "person"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    kind: Mapped[str]
    name: Mapped[str] = encrypted(str, index=Equality())
    __mapper_args__: ClassVar[dict] = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Patient(Person):
    __tablename__ = "patient"
    patient_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True)
    insured: Mapped[bool] = encrypted(bool)
    __mapper_args__: ClassVar[dict] = {"polymorphic_identity": "patient"}


class Result(Base):
    __tablename__ = "Lab result"
    clinic: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column("No.", primary_key=True, autoincrement=False)
    renamed: Mapped[Decimal] = mapped_column("value", Encrypted(Decimal))
    details: Mapped[dict | None] = mapped_column(Encrypted(dict))


@pytest.fixture(params=["sqlite", "postgresql"])
def vaultdb_url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return "sqlite://"
    database: Database = request.getfixturevalue("database")
    return database.migrate_url


@pytest.fixture
def session(vaultdb_engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(vaultdb_engine)
    with Session(vaultdb_engine) as session:
        yield session


def test_both_tables_of_a_joined_inheritance_are_checked(session: Session) -> None:
    patient = Patient(name="Ada", insured=False)
    session.add(patient)

    assert_encrypted(session, patient, "name")
    assert_encrypted(session, patient, "insured")


def test_composite_keys_odd_names_and_renamed_columns_are_checked(session: Session) -> None:
    result = Result(clinic="north", number=7, renamed=Decimal("7.250"), details={"unit": "mmol/l"})
    session.add(result)

    assert_encrypted(session, result, "renamed")
    assert_encrypted(session, result, "details")


def test_a_committed_object_is_read_again(session: Session) -> None:
    patient = Patient(name="Ada", insured=True)
    session.add(patient)
    session.commit()

    assert_encrypted(session, patient, "name")


def test_a_value_of_another_row_fails(session: Session) -> None:
    first, second = Person(name="Ada"), Person(name="Grace")
    session.add_all([first, second])
    session.flush()
    session.execute(
        text("UPDATE person SET name = (SELECT name FROM person WHERE id = :other)").bindparams(
            other=_key(session, second)
        )
    )

    with pytest.raises(AssertionError, match=r"^person\.name does not decrypt$"):
        assert_encrypted(session, first, "name")
    with pytest.raises(DecryptionError):
        session.refresh(first)


def _key(session: Session, person: Person) -> object:
    """SQLite keeps a UUID as 32 hexadecimal digits."""
    return person.id.hex if session.get_bind().dialect.name == "sqlite" else person.id
