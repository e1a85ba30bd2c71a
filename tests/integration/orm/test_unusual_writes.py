"""Values that come past the write interceptor are refused; no plaintext reaches the server."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import (
    Integer,
    String,
    bindparam,
    column,
    event,
    insert,
    lambda_stmt,
    literal,
    select,
    table,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator

from tests.integration.orm.models import Node, Patient, Second, core_note
from vaultdb.errors import StatementRefused

T = core_note
SECRET = "hunter" + "2-in-the-clear"  # put together, so that no traceback shows it


def conflict(**kwargs):
    return postgresql.insert(T).values(id=1, body="x").on_conflict_do_update(**kwargs)


def in_a_cte(statement):
    return select(statement.returning(T.c.id).cte("written"))


CHANGED = {T.c.body: literal(SECRET, String)}

REFUSED = {
    "insert in a lambda": lambda: lambda_stmt(lambda: insert(T).values(id=9, body=SECRET)),
    "update in a lambda": lambda: lambda_stmt(
        lambda: update(T).where(T.c.id == 1).values(body=SECRET)
    ),
    "ORM insert in a lambda": lambda: lambda_stmt(lambda: insert(Node).values(id=9, secret=SECRET)),
    "rows of another type in a CTE": lambda: in_a_cte(
        insert(T).values([{"id": 9, "body": literal(SECRET, String)}])
    ),
    "rows by position in a CTE": lambda: in_a_cte(
        insert(T).values([(9, "slug", literal(SECRET, String))])
    ),
    "upsert in a CTE": lambda: in_a_cte(
        postgresql.insert(T)
        .values(id=1)
        .on_conflict_do_update(index_elements=["id"], set_={"body": literal(SECRET, String)})
    ),
    "index value in a CTE": lambda: select(
        insert(Patient).values(id=uuid.UUID(int=9), ssn_index=b"x").returning(Patient.id).cte()
    ),
    "upsert that names a column by another object": lambda: conflict(
        index_elements=["id"], set_={column("body"): SECRET}
    ),
    "upsert that names a column of another table": lambda: conflict(
        index_elements=["id"], set_={table("core_note", column("body")).c.body: SECRET}
    ),
}


@pytest.fixture
def bound(engine):
    """All parameters that reach a cursor."""
    seen: list[str] = []

    def note(_connection, _cursor, _statement, parameters, *_):
        seen.append(repr(parameters))

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("build", [pytest.param(b, id=n) for n, b in REFUSED.items()])
def test_a_value_that_nobody_has_encrypted_is_refused_and_not_sent(build, session, bound):
    session.execute(insert(T).values(id=1, slug="s", body="x"))
    with pytest.raises(StatementRefused):
        session.execute(build())
    assert not any(SECRET in parameters for parameters in bound)


def test_a_value_that_an_event_adds_with_a_type_of_its_own_is_not_sent(session, engine, bound):
    def change(_connection, statement, many, single, _options):
        if getattr(statement, "is_insert", False):
            statement = statement.values(body=literal(SECRET, String))
        return statement, many, single

    event.listen(engine, "before_execute", change, retval=True)
    try:
        with pytest.raises(StatementRefused, match="sent as something else"):
            session.execute(insert(T).values(id=1, slug="s"))
    finally:
        event.remove(engine, "before_execute", change)
    assert not any(SECRET in parameters for parameters in bound)


def test_an_upsert_that_names_a_column_by_its_name_instead_of_its_key_is_refused(
    engine, matrix, bound
):
    from sqlalchemy import Column, MetaData, Table

    from vaultdb import Encrypted

    metadata = MetaData()
    keyed = Table(
        "keyed_note",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("db_body", Encrypted(str), key="body"),
    )
    matrix.create_all(metadata)
    statement = postgresql.insert(keyed).values(id=1, body="x")
    with engine.begin() as connection, pytest.raises(StatementRefused, match="by that key"):
        connection.execute(
            statement.on_conflict_do_update(index_elements=["id"], set_={"db_body": SECRET})
        )
    assert not any(SECRET in parameters for parameters in bound)


class Next(TypeDecorator):
    """Sends another value than it was given."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value + 1


def test_a_key_that_its_parameter_changes_on_the_way_names_no_row(session):
    session.execute(insert(T), [{"id": 1, "body": "one"}, {"id": 2, "body": "two"}])
    with pytest.raises(StatementRefused, match="must name its row"):
        session.execute(update(T).where(T.c.id == bindparam("k", 1, type_=Next())).values(body="x"))
    assert session.scalars(select(T.c.body).order_by(T.c.id)).all() == ["one", "two"]


@pytest.mark.parametrize("many", [False, True])
def test_an_insert_that_returns_its_entity_may_leave_columns_out(session, many):
    """SQLAlchemy compares the returned columns with each other to find out what to add."""
    rows = [{"id": n, "secret": f"n{n}"} for n in range(1, 3 if many else 2)]
    made = session.scalars(insert(Second).returning(Second), rows).all()
    assert [(each.secret, each.reason) for each in made] == [(r["secret"], None) for r in rows]


@pytest.mark.parametrize("other", [Patient.ward, Patient.ssn, Patient.born])
def test_columns_of_one_row_cannot_be_compared(session, sent, other):
    with pytest.raises(StatementRefused):
        session.execute(select(Patient.id).where(Patient.name == other))
    assert sent == []
