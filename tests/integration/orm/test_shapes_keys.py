"""Keys of every kind that a value can be bound to, made by Python or by the server."""

from __future__ import annotations

import uuid
from datetime import date

from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session

from tests.integration.orm.models import (
    Country,
    Day,
    Freely,
    Guardian,
    OddName,
    Partly,
    Patient,
    Ticket,
    Token,
    Visit,
)


def reload(session, entity):
    session.commit()
    session.expunge_all()
    return session.scalars(select(entity)).all()


def test_identity_keys_are_known_before_the_insert(session):
    session.add(Patient(id=uuid.UUID(int=1), name="Ada"))
    session.flush()
    session.add_all([Visit(patient_id=uuid.UUID(int=1), note=f"n{i}") for i in range(5)])
    assert sorted(v.note for v in reload(session, Visit)) == [f"n{i}" for i in range(5)]


def test_sequence_keys_are_known_before_the_insert(session):
    session.add_all([Ticket(secret="a"), Ticket(secret="b")])
    found = reload(session, Ticket)
    assert sorted(t.secret for t in found) == ["a", "b"]
    assert all(t.id >= 100 for t in found)


def test_keys_from_a_server_default(session):
    session.add_all([Token(secret="a"), Token(secret="b")])
    assert sorted(t.secret for t in reload(session, Token)) == ["a", "b"]
    session.execute(insert(Token), [{"secret": "c"}, {"secret": "d"}])
    assert sorted(t.secret for t in reload(session, Token)) == ["a", "b", "c", "d"]


def test_natural_keys_bind_values_of_any_text(session):
    session.add_all([Country(code="ch", secret="a"), Country(code="é", secret="b")])
    assert {c.code: c.secret for c in reload(session, Country)} == {"ch": "a", "é": "b"}
    session.execute(update(Country).where(Country.code == "é").values(secret="c"))
    assert session.scalar(select(Country.secret).where(Country.code == "é")) == "c"


def test_date_and_binary_keys(session):
    days = [date(1, 1, 1), date(1999, 12, 31), date(2000, 1, 1), date(9999, 12, 31)]
    session.add_all([Day(day=d, digest=b"\0" * i, secret=str(d)) for i, d in enumerate(days)])
    assert {d.day: d.secret for d in reload(session, Day)} == {d: str(d) for d in days}


def test_composite_and_foreign_keys(session):
    session.add(Patient(id=uuid.UUID(int=1), name="Ada"))
    session.add_all([Guardian(patient_id=uuid.UUID(int=1), no=n, phone=f"t{n}") for n in range(3)])
    assert sorted(g.phone for g in reload(session, Guardian)) == ["t0", "t1", "t2"]
    session.execute(
        update(Guardian)
        .where(Guardian.patient_id == uuid.UUID(int=1), Guardian.no == 2)
        .values(phone="new")
    )
    assert session.scalar(select(Guardian.phone).where(Guardian.no == 2)) == "new"


def test_a_foreign_key_that_the_flush_fills_in(session):
    session.add(Visit(note="n", patient=Patient(name="Ada")))
    assert [v.note for v in reload(session, Visit)] == ["n"]


def test_quoted_names_in_a_quoted_schema(session):
    session.add_all([OddName(secret="a"), OddName(secret="b")])
    assert sorted(o.secret for o in reload(session, OddName)) == ["a", "b"]
    key = session.scalars(select(OddName.id)).first()
    session.execute(update(OddName).where(OddName.id == key).values(secret="c"))
    assert session.scalar(select(OddName.secret).where(OddName.id == key)) == "c"


def test_negative_and_extreme_integer_keys(session):
    session.add_all([Freely(id=i, secret=str(i)) for i in (-1, 0, 2147483647, -2147483648)])
    assert {f.id: f.secret for f in reload(session, Freely)} == {
        i: str(i) for i in (-1, 0, 2147483647, -2147483648)
    }


def test_a_column_bound_value_survives_a_move(session):
    session.add_all([Freely(id=1, secret="a"), Freely(id=2, secret="b")])
    session.flush()
    session.execute(text("UPDATE freely SET secret = (SELECT secret FROM freely WHERE id = 1)"))
    session.expire_all()
    assert session.scalars(select(Freely.secret)).all() == ["a", "a"]


def test_a_part_of_the_key_binds(session):
    session.add(Partly(id=1, month=1, secret="a"))
    session.commit()
    session.execute(text("UPDATE partly SET month = 2"))
    session.expire_all()
    assert session.scalars(select(Partly.secret)).one() == "a"
    session.execute(update(Partly).where(Partly.id == 1).values(secret="b"))
    assert session.scalars(select(Partly.secret)).one() == "b"


def test_schema_translate_map(engine, matrix):
    with matrix.connect() as connection:
        connection.execute("CREATE TABLE branch.country (LIKE public.country INCLUDING ALL)")
        connection.execute("GRANT USAGE ON SCHEMA branch TO vaultdb_rw")
        connection.execute("GRANT SELECT, INSERT, UPDATE ON branch.country TO vaultdb_rw")
    translated = engine.execution_options(schema_translate_map={None: "branch"})
    with Session(translated) as session:
        session.add(Country(code="xx", secret="branch"))
        session.commit()
        assert session.scalars(select(Country.secret)).all() == ["branch"]
    with Session(engine) as session:
        assert session.scalars(select(Country.secret)).all() == []
