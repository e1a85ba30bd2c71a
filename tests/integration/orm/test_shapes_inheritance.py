"""Joined, single-table and concrete inheritance."""

from __future__ import annotations

import pytest
from sqlalchemy import MetaData, func, select
from sqlalchemy.ext.declarative import ConcreteBase
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, with_polymorphic

import vaultdb
from tests.integration.orm.models import Doctor, Nurse, Person
from vaultdb import encrypted


@pytest.fixture(autouse=True)
def rows(session):
    session.add_all(
        [
            Doctor(id=1, ssn="s1", licence="L1"),
            Doctor(id=2, ssn=None, licence=None),
            Nurse(id=3, ssn="s3", badge="B3"),
            Person(id=4, ssn="s4"),
        ]
    )
    session.flush()
    session.expunge_all()


def test_a_polymorphic_query_loads_every_class(session):
    found = session.scalars(select(Person).order_by(Person.id)).all()
    assert [(type(p).__name__, p.ssn) for p in found] == [
        ("Doctor", "s1"),
        ("Doctor", None),
        ("Nurse", "s3"),
        ("Person", "s4"),
    ]
    assert (found[0].licence, found[2].badge) == ("L1", "B3")


def test_a_subclass_query(session):
    doctors = session.scalars(select(Doctor).order_by(Doctor.id)).all()
    assert [(d.ssn, d.licence) for d in doctors] == [("s1", "L1"), (None, None)]
    assert session.execute(select(Nurse.ssn, Nurse.badge)).all() == [("s3", "B3")]
    assert session.execute(select(Doctor.licence).order_by(Doctor.id)).all() == [("L1",), (None,)]


def test_with_polymorphic_reads_every_subclass(session):
    everyone = with_polymorphic(Person, "*")
    found = session.scalars(select(everyone).order_by(everyone.id)).all()
    assert [getattr(p, "licence", None) for p in found] == ["L1", None, None, None]
    flat = with_polymorphic(Person, [Doctor], flat=True, aliased=True)
    statement = select(flat.ssn, flat.Doctor.licence).order_by(flat.id)
    assert session.execute(statement).all()[0] == ("s1", "L1")


def test_an_aliased_subclass(session):
    doctor = aliased(Doctor)
    statement = select(doctor).where(doctor.licence.is_not(None))
    assert [d.licence for d in session.scalars(statement)] == ["L1"]


def test_a_subquery_of_a_subclass(session):
    sub = select(Doctor).subquery()
    entity = aliased(Doctor, sub)
    assert [d.licence for d in session.scalars(select(entity).order_by(entity.id))] == ["L1", None]


def test_changes_reach_both_tables(session):
    doctor = session.get(Doctor, 1)
    doctor.ssn, doctor.licence = "new", "renewed"
    session.commit()
    session.expunge_all()
    again = session.get(Person, 1)
    assert (again.ssn, again.licence) == ("new", "renewed")


def test_count_per_class(session):
    statement = select(Person.kind, func.count(Person.ssn)).group_by(Person.kind)
    assert sorted(session.execute(statement).all()) == [("doctor", 1), ("nurse", 1), ("person", 1)]


def test_concrete_inheritance_with_one_logical_name(engine, matrix):
    class Base(ConcreteBase, DeclarativeBase):
        metadata = MetaData()
        __abstract__ = True

    class Animal(Base):
        __tablename__ = "animal"
        id: Mapped[int] = mapped_column(primary_key=True)
        chip: Mapped[str | None] = encrypted(str, nullable=True, logical_name="animal.chip")
        __mapper_args__ = {"polymorphic_identity": "animal", "concrete": True}

    class Dog(Animal):
        __tablename__ = "dog"
        id: Mapped[int] = mapped_column(primary_key=True)
        chip: Mapped[str | None] = encrypted(str, nullable=True, logical_name="animal.chip")
        trick: Mapped[str | None] = encrypted(str, nullable=True)
        __mapper_args__ = {"polymorphic_identity": "dog", "concrete": True}

    matrix.create_all(Base.metadata)
    from sqlalchemy.orm import Session

    with Session(engine) as session:
        session.add_all([Animal(id=1, chip="a"), Dog(id=1, chip="d", trick="roll")])
        session.commit()
        assert session.scalars(select(Dog)).one().trick == "roll"
        session.expunge_all()
        found = session.scalars(select(Animal)).all()
        assert sorted((type(a).__name__, a.chip) for a in found) == [("Animal", "a"), ("Dog", "d")]


def test_concrete_inheritance_with_two_logical_names_is_refused(engine):
    class Base(ConcreteBase, DeclarativeBase):
        metadata = MetaData()
        __abstract__ = True

    class Ship(Base):
        __tablename__ = "ship"
        id: Mapped[int] = mapped_column(primary_key=True)
        cargo: Mapped[str | None] = encrypted(str, nullable=True)
        __mapper_args__ = {"polymorphic_identity": "ship", "concrete": True}

    class Ferry(Ship):
        __tablename__ = "ferry"
        id: Mapped[int] = mapped_column(primary_key=True)
        cargo: Mapped[str | None] = encrypted(str, nullable=True)
        __mapper_args__ = {"polymorphic_identity": "ferry", "concrete": True}

    from sqlalchemy.orm import Session

    from vaultdb.errors import VaultDBError

    with Session(engine) as session, pytest.raises(VaultDBError, match="two statements"):
        session.scalars(select(Ship)).all()
    assert vaultdb.__all__
