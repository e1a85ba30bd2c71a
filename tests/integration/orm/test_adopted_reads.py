"""Reading a column that is being adopted: every shape of a statement, in both states of a row."""

from __future__ import annotations

import threading

import pytest
import pytest_asyncio
from sqlalchemy import func, insert, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import aliased, joinedload, selectinload

import vaultdb
from tests.integration.orm.adopted import TYPES, Base, Note, Person, every_type
from vaultdb.errors import StatementRefused, ValueRefused

P = Person.__table__


@pytest.fixture(scope="package")
def adopted(matrix):
    matrix.create_all(Base.metadata)
    return matrix


@pytest.fixture
def people(adopted, session):
    """One row that an old release wrote, one that this one wrote, and one without a value."""
    session.execute(
        text('INSERT INTO "Odd ""person""" (id, ward, "select") VALUES (1, \'n\', \'1\')')
    )
    session.execute(text("INSERT INTO adopted_note (id, person_id, body) VALUES (1, 1, 'one')"))
    session.add_all([Person(id=2, ssn="2"), Person(id=3), Note(id=2, person_id=2, body="two")])
    session.flush()
    session.expire_all()
    return session


BOTH = ["1", "2", None]


def test_an_object_has_the_ciphertext_or_else_the_plaintext(people):
    assert [p.ssn for p in people.scalars(select(Person).order_by(Person.id))] == BOTH
    assert [n.body for n in people.scalars(select(Note).order_by(Note.id))] == ["one", "two"]


@pytest.mark.parametrize("order", [True, False])
def test_columns_of_a_table(people, order):
    statement = select(P.c.id, P.c.ssn_encrypted)
    found = people.execute(statement.order_by(P.c.id) if order else statement).all()
    assert sorted(found) == [(1, "1"), (2, "2"), (3, None)]


def _subquery():
    inner = select(Person).subquery()
    return select(inner.c.id, inner.c.ssn_encrypted)


def _entity_from_subquery():
    inner = aliased(Person, select(Person).subquery())
    return select(inner.id, inner.ssn)


def _subquery_without_plaintext():
    inner = select(Person.id, Person.ssn).subquery()
    return select(inner.c.id, inner.c.ssn)


def _nested_subquery():
    inner = select(select(Person.id, Person.ssn, Person.ssn_plain).subquery()).cte()
    return select(inner.c.id, inner.c.ssn)


def _union_all():
    return union_all(
        select(Person.id, Person.ssn, Person.ssn_plain).where(Person.id == 1),
        select(Person.id, Person.ssn, Person.ssn_plain).where(Person.id != 1),
    )


def _from_union_all():
    inner = union_all(
        select(Person.id, Person.ssn).where(Person.id == 1),
        select(Person.id, Person.ssn).where(Person.id != 1),
    ).subquery()
    return select(inner.c.id, inner.c.ssn)


def _self_join():
    other = aliased(Person)
    return select(Person.id, other.ssn).join(other, other.id == Person.id)


def _outer_join():
    other = aliased(Person)
    return select(Person.id, other.ssn).outerjoin(other, other.id == Person.id)


SHAPES = {
    "columns": lambda: select(Person.id, Person.ssn),
    "label": lambda: select(Person.id, Person.ssn.label("select")),
    "alias": lambda: select(a := P.alias()).with_only_columns(a.c.id, a.c.ssn_encrypted),
    "subquery": _subquery,
    "entity from subquery": _entity_from_subquery,
    "subquery without plaintext": _subquery_without_plaintext,
    "nested": _nested_subquery,
    "union all": _union_all,
    "from union all": _from_union_all,
    "self join": _self_join,
    "outer join": _outer_join,
    "limit": lambda: select(Person.id, Person.ssn).order_by(Person.id).limit(3),
    "distinct with key": lambda: select(Person.id, Person.ssn).distinct(),
    "filtered": lambda: select(Person.id, Person.ssn).where(Person.id.in_(select(Person.id))),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_reads_rows_in_both_states(people, shape):
    found = [tuple(row)[:2] for row in people.execute(SHAPES[shape]())]
    assert sorted(found) == [(1, "1"), (2, "2"), (3, None)]


def test_an_outer_join_without_a_row_gives_none(people):
    other = aliased(Person)
    statement = select(Person.id, other.ssn).outerjoin(other, other.id == -Person.id)
    assert [row.ssn for row in people.execute(statement)] == [None] * 3


@pytest.mark.parametrize("load", [joinedload, selectinload])
def test_loaders_read_both_states(people, load):
    statement = select(Person).options(load(Person.notes)).order_by(Person.id).limit(2)
    found = people.scalars(statement).unique().all()
    assert [(p.ssn, [n.body for n in p.notes]) for p in found] == [("1", ["one"]), ("2", ["two"])]


def test_returning_reads_both_states(people):
    changed = people.execute(update(P).values(ward="w").returning(P.c.id, P.c.ssn_encrypted))
    assert sorted(changed.all()) == [(1, "1"), (2, "2"), (3, None)]


def test_text_with_the_listed_columns_reads_both_states(people):
    name = '"Odd ""person"""'
    statement = text(f"SELECT {vaultdb.columns(Person)} FROM {name} ORDER BY id")
    found = people.scalars(select(Person).from_statement(statement)).all()
    assert [p.ssn for p in found] == BOTH


def test_text_without_the_plaintext_is_refused(people):
    statement = text("SELECT id, body_encrypted FROM adopted_note")
    with pytest.raises(StatementRefused):
        people.execute(statement.columns(Note.id, Note.body))


def test_a_cached_statement_reads_what_is_there_now(people):
    statement = select(Person.ssn).where(Person.id == 1)
    assert people.scalar(statement) == "1"
    people.get(Person, 1).ssn = "new"
    people.flush()
    assert people.scalar(statement) == "new"


@pytest.mark.parametrize("name", TYPES)
def test_every_type_reads_the_same_before_and_after_it_is_encrypted(adopted, session, name):
    value = TYPES[name][2]
    column = every_type.c[f"{name}_encrypted"]
    session.execute(insert(every_type).values({"id": 1, column.key: value}))
    session.execute(insert(every_type).values({"id": 2, column.key: value}))
    session.execute(text(f'UPDATE every_type SET "{name}_encrypted" = NULL WHERE id = 1'))
    for setting in ("", "SET LOCAL DateStyle = 'SQL, DMY'", "SET LOCAL bytea_output = 'escape'"):
        if setting:
            session.execute(text(setting))
        session.execute(text("SET LOCAL extra_float_digits = -5"))
        found = session.execute(select(every_type.c.id, column).order_by(every_type.c.id)).all()
        assert found == [(1, value), (2, value)]
        assert type(found[0][1]) is type(found[1][1])


def test_plaintext_that_is_not_of_the_type_names_the_column_and_not_the_value(adopted, session):
    session.execute(text("INSERT INTO every_type (id, \"date\") VALUES (1, 'infinity')"))
    with pytest.raises(ValueRefused, match=r"every_type\.date_encrypted") as caught:
        session.execute(select(every_type.c.date_encrypted)).all()
    assert "infinity" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_values_read_as_plaintext_are_counted_by_column(people, engine):
    people.scalars(select(Person.ssn)).all()
    before = vaultdb.plaintext_reads(engine)
    people.scalars(select(Person.ssn)).all()
    people.scalars(select(Person.ssn).where(Person.id == 2)).all()
    after = vaultdb.plaintext_reads(engine)
    name = P.c.ssn_encrypted.type.logical_name
    assert after[name] - before[name] == 1
    assert "patient.ssn" not in after


def test_counting_loses_nothing_between_threads(engine):
    reads = engine.dialect.vaultdb_runtime.plaintext_reads
    threads = [
        threading.Thread(target=lambda: [reads.add("threads") for _ in range(2000)])
        for _ in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert vaultdb.plaintext_reads(engine)["threads"] == 8000


def test_counting_the_column_itself_is_refused(people):
    with pytest.raises(StatementRefused, match="count"):
        people.scalar(select(func.count(Person.ssn)))


@pytest_asyncio.fixture
async def async_engine(adopted, keyring):
    engine = create_async_engine(adopted.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    yield engine
    await engine.dispose()


@pytest.mark.asyncio
async def test_an_async_session_writes_both_and_reads_both(async_engine):
    async with AsyncSession(async_engine) as session:
        await session.execute(
            text('INSERT INTO "Odd ""person""" (id, ward, "select") VALUES (1, \'n\', \'1\')')
        )
        session.add(Person(id=2, ssn="2"))
        await session.flush()
        found = await session.scalars(select(Person.ssn).order_by(Person.id))
        assert found.all() == ["1", "2"]
        assert await session.scalar(select(Person.id).where(Person.ssn == "1")) == 1
        await session.rollback()
    assert vaultdb.plaintext_reads(async_engine)[P.c.ssn_encrypted.type.logical_name] == 1
