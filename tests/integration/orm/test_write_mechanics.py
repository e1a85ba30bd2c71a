"""How the interceptor works: one query for keys, a warm statement cache, no plaintext on the way."""

from __future__ import annotations

import logging
import uuid

import pytest
from sqlalchemy import bindparam, event, insert, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import CacheStats
from sqlalchemy.orm import Session

from tests.integration.orm.models import Patient, Ticket, Token, Visit, core_note
from vaultdb.errors import StatementRefused

KEY = uuid.UUID(int=7)


@pytest.fixture
def patient(session):
    session.execute(insert(Patient).values(id=KEY, name="Ada", ssn="1"))
    return KEY


@pytest.fixture
def bound(engine):
    """Every parameter set that reaches a cursor of the engine, as text."""
    seen: list[str] = []

    def note(_connection, _cursor, _statement, parameters, context, _many):
        seen.append(repr(parameters) + repr(context.compiled_parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def cache_hits(engine):
    seen: list[CacheStats] = []

    def note(_connection, _cursor, _statement, _parameters, context, _many):
        if context.compiled is not None:
            seen.append(context.cache_hit)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Visit, Ticket, Token], ids=["identity", "sequence", "default"])
@pytest.mark.parametrize("count", [1, 50])
def test_server_made_keys_cost_one_query_per_statement(model, count, session, patient, sent):
    secret = {"patient_id": patient, "note": "n"} if model is Visit else {"secret": "s"}
    sent.clear()
    session.execute(insert(model), [secret] * count)
    assert [statement.split()[0] for statement in sent] == ["SELECT", "INSERT"]


def test_keys_that_are_given_cost_no_query(session, patient, sent):
    sent.clear()
    session.execute(insert(Visit), [{"id": 10**6, "patient_id": patient, "note": "n"}])
    assert len(sent) == 1


def test_rows_without_values_need_no_keys(session, patient, sent):
    sent.clear()
    session.execute(insert(Visit), [{"patient_id": patient, "note": None}] * 3)
    assert len(sent) == 1
    assert session.scalars(select(Visit.note)).all() == [None] * 3


def test_sql_as_the_key_is_evaluated_first(session):
    session.execute(insert(core_note).values(id=select(text("2024")).scalar_subquery(), body="b"))
    assert session.execute(select(core_note.c.id, core_note.c.body)).all() == [(2024, "b")]


def test_a_null_key_is_refused(session, sent):
    with pytest.raises(
        StatementRefused, match=r"core_note\.id must be given in each parameter set"
    ):
        session.execute(insert(core_note), [{"id": 1, "body": "a"}, {"id": None, "body": "b"}])
    assert sent == []


# -- the statement cache ---------------------------------------------------------------------------

SHAPES = {
    "insert": lambda n: (insert(core_note), {"id": n, "body": "b"}),
    "insert values": lambda n: (insert(core_note).values(id=n, body=f"b{n}"), None),
    "insert named bind": lambda n: (
        insert(core_note).values(id=bindparam("i"), body=bindparam("b")),
        {"i": n, "b": "x"},
    ),
    "update values": lambda n: (
        update(core_note).where(core_note.c.id == n).values(body="b"),
        None,
    ),
    "update ordered": lambda n: (
        update(core_note)
        .where(core_note.c.id == n)
        .ordered_values(("body", "b"), ("slug", f"s{n}")),
        None,
    ),
    "update to null": lambda _: (update(core_note).values(body=None), None),
    "upsert": lambda n: (
        (i := postgresql.insert(core_note).values(id=n, body="b")).on_conflict_do_update(
            index_elements=["id"], set_={"body": i.excluded.body, "slug": f"u{n}"}
        ),
        None,
    ),
    "upsert literal": lambda n: (
        postgresql.insert(core_note)
        .values(id=n, body="b")
        .on_conflict_do_update(index_elements=["id"], set_={"body": f"c{n}"}),
        None,
    ),
    "entity update": lambda n: (
        update(Patient).where(Patient.id == uuid.UUID(int=n)).values(name=f"n{n}"),
        None,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_second_execution_of_a_shape_is_compiled_already(shape, session, cache_hits):
    for n in (1, 2, 3):
        statement, parameters = SHAPES[shape](n)
        session.execute(statement, parameters)
    if (
        "upsert" in shape
        and not postgresql.insert(core_note)
        .values(id=1)
        .on_conflict_do_nothing()
        ._generate_cache_key()
    ):
        pytest.skip("this SQLAlchemy does not cache upserts")
    found = [hit for hit in cache_hits if hit is not CacheStats.NO_DIALECT_SUPPORT]
    assert found[-2:] == [CacheStats.CACHE_HIT, CacheStats.CACHE_HIT]


# -- no plaintext on the way -----------------------------------------------------------------------

SECRET = "The-Secret-999-17-5017"


WRITES = {
    "parameter sets": lambda s: s.execute(insert(Token), [{"secret": SECRET}] * 2),
    "values": lambda s: s.execute(insert(Patient).values(name=SECRET, ssn=SECRET)),
    "rows of values": lambda s: s.execute(
        insert(Patient.__table__).values([{"id": KEY, "name": SECRET}])
    ),
    "named bind": lambda s: s.execute(
        insert(core_note).values(body=bindparam("b")),
        [{"id": 1, "b": SECRET}, {"id": 2, "b": SECRET}],
    ),
    "update": lambda s: s.execute(update(core_note).where(core_note.c.id == 1).values(body=SECRET)),
    "update named binds": lambda s: s.execute(
        update(core_note).where(core_note.c.id == bindparam("k")).values(body=bindparam("b")),
        [{"k": 1, "b": SECRET}],
    ),
    "ordered values": lambda s: s.execute(
        update(core_note).where(core_note.c.id == 1).ordered_values(("body", SECRET))
    ),
    "upsert": lambda s: s.execute(
        postgresql.insert(core_note)
        .values(id=1, body=SECRET)
        .on_conflict_do_update(index_elements=["id"], set_={"body": SECRET + "!"})
    ),
    "flush": lambda s: (s.add(Patient(name=SECRET, ssn=SECRET)), s.flush()),
}


@pytest.mark.parametrize("write", WRITES)
def test_plaintext_reaches_no_parameter_and_no_log(write, engine, bound, caplog):
    with Session(engine) as session, caplog.at_level(logging.INFO, "sqlalchemy.engine"):
        WRITES[write](session)
        session.rollback()
    assert bound
    assert not any(SECRET in parameters for parameters in bound)
    assert SECRET not in caplog.text


def test_a_bind_that_is_also_used_elsewhere_keeps_its_value(session):
    both = insert(core_note).values(id=1, body=bindparam("x"), slug=bindparam("x"))
    session.execute(both, {"x": "same"})
    assert session.execute(select(core_note.c.body, core_note.c.slug)).one() == ("same", "same")


def test_a_parameter_replaces_the_literal_of_values(session):
    """As without vaultdb: SQLAlchemy names the literal's bind after its column."""
    session.connection().execute(insert(core_note).values(id=1, body="a"), {"body": "b"})
    assert session.scalar(select(core_note.c.body)) == "b"


def test_a_parameter_that_would_replace_the_pinned_key_is_refused(session):
    """SQLAlchemy names the key's anonymous bind id_1, and a parameter id_1 would replace it."""
    session.execute(insert(core_note), [{"id": 1, "body": "a"}, {"id": 2, "body": "b"}])
    pinned = update(core_note).where(core_note.c.id == 1).values(body="c")
    with pytest.raises(
        StatementRefused, match="id_1: neither a column of core_note nor a bindparam"
    ):
        session.connection().execute(pinned, {"id_1": 2})


def test_parameter_sets_of_different_shapes_are_refused(session):
    with pytest.raises(StatementRefused, match="parameter set 1 does not name the same"):
        session.connection().execute(insert(core_note), [{"id": 1, "body": "a"}, {"id": 2}])
    with pytest.raises(StatementRefused, match="parameter set 1 does not name the same"):
        session.connection().execute(insert(core_note), [{"id": 1}, {"id": 2, "body": "a"}])
