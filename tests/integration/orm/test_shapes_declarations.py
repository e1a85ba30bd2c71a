"""Ways to declare encrypted columns: mixins, Annotated, dataclasses, SQLModel, views, properties."""

from __future__ import annotations

import uuid
from datetime import date

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, event, func, inspect, select, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    column_property,
    composite,
    configure_mappers,
    mapped_column,
    registry,
    synonym,
    validates,
)

from tests.integration.orm.models import Base, First, Patient, Record, Second, Visit, core_note
from vaultdb import Encrypted, encrypted
from vaultdb.errors import ConfigurationError, StatementRefused


def test_a_mixin_gives_each_table_its_own_logical_name(session):
    names = {t.__table__.c.reason.type.logical_name for t in (First, Second)}
    assert names == {"first.reason", "second.reason"}
    session.add_all([First(id=1, secret="a", reason="r"), Second(id=1, secret="b")])
    session.commit()
    session.expire_all()
    assert (session.get(First, 1).reason, session.get(Second, 1).reason) == ("r", None)


def test_annotated_gives_each_table_its_own_logical_name(session):
    names = {t.__table__.c.secret.type.logical_name for t in (First, Second)}
    assert names == {"first.secret", "second.secret"}


def test_a_dataclass_keeps_the_plaintext_out_of_its_repr(session):
    record = Record(secret="Ada Lovelace")
    assert "Lovelace" not in repr(record)
    session.add(record)
    session.commit()
    session.expunge_all()
    assert session.scalars(select(Record)).one().secret == "Ada Lovelace"


def test_the_companion_of_an_index_is_no_attribute():
    assert [a.key for a in inspect(Patient).column_attrs if "ssn" in a.key] == ["ssn"]
    assert len([c for c in Patient.__table__.c if c.name.startswith("ssn")]) == 2


def test_column_property_and_hybrid(session):
    session.add(Patient(id=uuid.UUID(int=1), name="Ada", visits=[Visit(note="n")]))
    session.commit()
    session.expunge_all()
    patient = session.scalars(select(Patient).where(Patient.is_north)).one()
    assert (patient.initial, patient.visit_count, patient.is_north) == ("A", 1, True)


def test_a_hybrid_over_an_encrypted_column_is_refused_in_sql(session):
    with pytest.raises(StatementRefused):
        session.execute(select(Patient.initial))


def test_to_metadata_copies_columns_and_companions():
    copy = Patient.__table__.to_metadata(MetaData())
    assert [c.name for c in copy.c] == [c.name for c in Patient.__table__.c]
    assert copy.c.ssn.type.logical_name == "patient.ssn"
    renamed = Patient.__table__.to_metadata(MetaData(), name="client")
    assert renamed.c.name.type.logical_name == "client.name"


def test_a_view_that_has_the_key_is_read(session, matrix):
    class ViewBase(DeclarativeBase):
        metadata = MetaData()

    class NorthPatient(ViewBase):
        __table__ = Table(
            "north_patient",
            ViewBase.metadata,
            Column("id", Patient.__table__.c.id.type, primary_key=True),
            Column("name", Encrypted(str, logical_name="patient.name")),
        )

    with matrix.connect() as admin:
        admin.execute(
            "CREATE VIEW north_patient AS SELECT id, name FROM patient WHERE ward = 'north'"
        )
        admin.execute("GRANT SELECT ON north_patient TO vaultdb_rw")
    session.add_all([Patient(name="Ada"), Patient(name="Bob", ward="south")])
    session.flush()
    assert session.scalars(select(NorthPatient)).one().name == "Ada"


def test_a_view_whose_key_only_the_mapper_knows_is_refused(session):
    """The table is asked for the key, since Core statements go past the mapper."""

    class ViewBase(DeclarativeBase):
        metadata = MetaData()

    with pytest.raises(ConfigurationError, match="primary_key=True"):

        class SouthPatient(ViewBase):
            __table__ = Table(
                "south_patient",
                ViewBase.metadata,
                Column("id", Patient.__table__.c.id.type),
                Column("name", Encrypted(str, logical_name="patient.name")),
            )
            __mapper_args__ = {"primary_key": [__table__.c.id]}

        configure_mappers()
        session.scalars(select(SouthPatient)).all()


def test_an_imperatively_mapped_class_works(session):
    class Note:
        pass

    registry().map_imperatively(Note, core_note)
    session.execute(core_note.insert().values(id=1, body="b"))
    assert session.scalars(select(Note)).one().body == "b"


def test_a_mapping_to_a_join(session):
    class Both(DeclarativeBase):
        pass

    joined = Patient.__table__.join(Visit.__table__)

    class Stay(Both):
        __table__ = joined
        pid = column_property(Patient.__table__.c.id, Visit.__table__.c.patient_id)
        visit_id = Visit.__table__.c.id
        __mapper_args__ = {"exclude_properties": [Patient.__table__.c.ssn]}

    session.add(Patient(name="Ada", visits=[Visit(note="n")]))
    session.flush()
    stay = session.scalars(select(Stay)).one()
    assert (stay.name, stay.note) == ("Ada", "n")


def test_a_mapping_to_a_subquery(session):
    class Sub(DeclarativeBase):
        pass

    class North(Sub):
        __table__ = select(Patient.__table__).where(Patient.ward == "north").subquery("n")
        __mapper_args__ = {"primary_key": [__table__.c.id]}

    session.add_all([Patient(name="Ada"), Patient(name="Bob", ward="south")])
    session.flush()
    assert [n.name for n in session.scalars(select(North))] == ["Ada"]


def test_synonyms_composites_and_validators(engine, matrix):
    class Own(DeclarativeBase):
        metadata = MetaData()

    class Place:
        def __init__(self, street, town):
            self.street, self.town = street, town

        def __composite_values__(self):
            return self.street, self.town

    class Address(Own):
        __tablename__ = "address"
        id: Mapped[int] = mapped_column(primary_key=True)
        street: Mapped[str] = encrypted(str)
        town: Mapped[str] = mapped_column(String(20))
        place = composite(Place, "street", "town")
        road = synonym("street")

        @validates("street")
        def _strip(self, _key, value):
            return value.strip()

    matrix.create_all(Own.metadata)
    with Session(engine) as session:
        session.add(Address(id=1, street=" Main St ", town="Bern"))
        session.commit()
        address = session.get(Address, 1)
        assert (address.place.street, address.road) == ("Main St", "Main St")


def test_an_sqlmodel_class_works(engine, matrix):
    from sqlmodel import Field, SQLModel
    from sqlmodel import Session as ModelSession
    from sqlmodel import select as model_select

    class Vigilante(SQLModel, table=True):
        __tablename__ = "vigilante"
        id: int | None = Field(default=None, primary_key=True)
        name: str
        secret_name: str = Field(sa_type=Encrypted(str))
        born: date | None = Field(default=None, sa_column=Column(Encrypted(date), nullable=True))

    metadata = MetaData()
    Vigilante.__table__.to_metadata(metadata)
    matrix.create_all(metadata)
    with ModelSession(engine) as session:
        session.add(Vigilante(name="Spider", secret_name="Peter", born=date(2001, 1, 1)))
        session.commit()
        hero = session.exec(model_select(Vigilante)).one()
        assert (hero.secret_name, hero.born) == ("Peter", date(2001, 1, 1))
        raw = session.connection().execute(text("SELECT secret_name FROM vigilante")).scalar()
        assert bytes(raw)[0] == 0xF6


def test_a_shared_type_instance(engine, matrix):
    shared = Encrypted(str)
    metadata = MetaData()
    tables = [
        Table(name, metadata, Column("id", Integer, primary_key=True), Column("s", shared))
        for name in ("shared_one", "shared_two")
    ]
    assert [t.c.s.type.logical_name for t in tables] == ["shared_one.s", "shared_two.s"]
    matrix.create_all(metadata)
    with engine.begin() as connection:
        for table in tables:
            connection.execute(table.insert().values(id=1, s=table.name))
            assert connection.scalar(select(table.c.s)) == table.name


def test_events_see_plain_values(session):
    seen = []
    event.listen(Patient, "before_insert", lambda _m, _c, target: seen.append(target.name))
    session.add(Patient(name="Ada"))
    session.flush()
    assert seen[-1] == "Ada"


def test_the_metadata_of_the_matrix_is_counted(session):
    """Every table of the matrix can be counted, which touches every FROM once."""
    for table in Base.metadata.sorted_tables:
        assert session.scalar(select(func.count()).select_from(table)) >= 0
