"""Core: every way to insert, update and delete rows with encrypted columns."""

from __future__ import annotations

import copy
import uuid

import pytest
from sqlalchemy import bindparam, delete, exc, func, insert, literal, select, text, update
from sqlalchemy.dialects import postgresql

from tests.integration.orm.models import Node, Patient, Visit, core_note

T = core_note


def rows(session, *columns):
    return session.execute(select(*(columns or (T.c.id, T.c.body))).order_by(T.c.id)).all()


def test_every_form_of_insert_values_is_encrypted(session):
    session.execute(insert(T).values(id=1, body="a"))
    session.execute(T.insert().values({"id": 2, "body": "b"}))
    session.execute(insert(T).values({T.c.id: 3, T.c.body: "c"}))
    session.execute(insert(T).values((4, "slug", "d", None)))
    assert rows(session) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_insert_with_a_parameter_set(session):
    session.execute(insert(T), {"id": 1, "body": "a"})
    session.execute(insert(T), {"id": 2})
    assert rows(session) == [(1, "a"), (2, None)]


def test_insert_with_a_literal_and_a_bind_parameter(session):
    session.execute(insert(T).values(id=literal(1), body=literal("a")))
    session.execute(insert(T).values(id=bindparam("i"), body=bindparam("b")), {"i": 2, "b": "b"})
    assert rows(session) == [(1, "a"), (2, "b")]


def test_multi_row_values(session):
    session.execute(insert(T).values([{"id": i, "body": f"v{i}"} for i in range(3)]))
    assert rows(session) == [(0, "v0"), (1, "v1"), (2, "v2")]


def test_multi_row_values_with_nulls(session):
    session.execute(insert(T).values([{"id": 1, "body": None}, {"id": 2, "body": "b"}]))
    assert rows(session) == [(1, None), (2, "b")]


def test_executemany_leaves_the_callers_dictionaries_alone(session):
    parameters = [{"id": i, "body": f"v{i}", "extra": None} for i in range(5)]
    before = copy.deepcopy(parameters)
    session.execute(insert(T), parameters)
    assert parameters == before
    assert rows(session) == [(i, f"v{i}") for i in range(5)]


def test_insertmanyvalues_over_several_batches_returns_every_value(session):
    statement = insert(T).returning(T.c.id, T.c.body, sort_by_parameter_order=True)
    result = session.execute(
        statement.execution_options(insertmanyvalues_page_size=7),
        [{"id": i, "body": f"v{i}"} for i in range(40)],
    )
    assert result.all() == [(i, f"v{i}") for i in range(40)]


def test_server_made_keys_in_an_executemany(session):
    result = session.execute(insert(T).returning(T.c.id, T.c.body), [{"body": "a"}, {"body": "b"}])
    made = result.all()
    assert [body for _, body in made] == ["a", "b"]
    assert sorted(rows(session)) == sorted(made)


def test_inserted_primary_key(session):
    result = session.execute(insert(T).values(body="a"))
    (key,) = result.inserted_primary_key
    assert rows(session) == [(key, "a")]


def test_update_by_key(session):
    session.execute(insert(T), [{"id": 1, "body": "a"}, {"id": 2, "body": "b"}])
    session.execute(update(T).where(T.c.id == 1).values(body="A"))
    session.execute(update(T).where(T.c.id == 2).values({T.c.body: "B"}))
    assert rows(session) == [(1, "A"), (2, "B")]


def test_update_by_key_and_another_condition(session):
    session.execute(insert(T), [{"id": 1, "slug": "s", "body": "a"}])
    missed = session.execute(update(T).where(T.c.id == 1, T.c.slug == "t").values(body="A"))
    assert missed.rowcount == 0
    hit = session.execute(update(T).where((T.c.id == 1) & (T.c.slug == "s")).values(body="A"))
    assert hit.rowcount == 1
    assert rows(session) == [(1, "A")]


def test_update_executemany_with_bind_parameters(session):
    session.execute(insert(T), [{"id": i, "body": "x"} for i in range(3)])
    session.connection().execute(
        update(T).where(T.c.id == bindparam("k")).values(body=bindparam("b")),
        [{"k": i, "b": f"new{i}"} for i in range(3)],
    )
    assert rows(session) == [(0, "new0"), (1, "new1"), (2, "new2")]


def test_update_with_ordered_values(session):
    session.execute(insert(T), [{"id": 1, "slug": "s", "body": "a"}])
    session.execute(update(T).where(T.c.id == 1).ordered_values((T.c.body, "A"), (T.c.slug, "S")))
    assert rows(session, T.c.slug, T.c.body) == [("S", "A")]


def test_bulk_update_by_primary_key(session):
    session.add_all([Node(id=i, secret="x") for i in range(3)])
    session.flush()
    session.execute(update(Node), [{"id": i, "secret": f"new{i}"} for i in range(3)])
    session.expire_all()
    assert session.scalars(select(Node.secret).order_by(Node.id)).all() == ["new0", "new1", "new2"]


def test_update_of_an_entity_synchronises_the_session(session):
    node = Node(id=1, secret="x")
    session.add(node)
    session.flush()
    session.execute(update(Node).where(Node.id == 1).values(secret="y"))
    assert node.secret == "y"
    session.execute(
        update(Node).where(Node.id == 1).values(secret="z"),
        execution_options={"synchronize_session": "fetch"},
    )
    assert node.secret == "z"


def test_update_of_plain_columns_needs_no_key(session):
    session.execute(insert(T), [{"id": i, "slug": f"s{i}", "body": "b"} for i in range(3)])
    done = session.execute(update(T).values(slug=T.c.slug + "!"))
    assert done.rowcount == 3
    assert [body for _, body in rows(session)] == ["b", "b", "b"]


def test_returning_of_insert_update_and_delete(session):
    made = session.execute(insert(T).values(id=1, body="a").returning(T.c.body))
    assert made.all() == [("a",)]
    changed = session.execute(
        update(T).where(T.c.id == 1).values(body="b").returning(T.c.id, T.c.body.label("x"))
    )
    assert changed.all() == [(1, "b")]
    assert session.execute(delete(T).returning(T.c.body)).all() == [("b",)]


def test_returning_gives_entities_in_plaintext(session):
    made = session.scalars(insert(Node).returning(Node), [{"id": 1, "secret": "a"}]).all()
    assert [n.secret for n in made] == ["a"]
    changed = session.scalars(
        update(Node).where(Node.id == 1).values(secret="b").returning(Node),
        execution_options={"populate_existing": True},
    ).all()
    assert [n.secret for n in changed] == ["b"]
    gone = session.scalars(delete(Node).returning(Node)).all()
    assert [n.id for n in gone] == [1]


def test_returning_of_a_plain_update_decrypts(session):
    session.execute(insert(T), [{"id": 1, "slug": "s", "body": "a"}])
    result = session.execute(update(T).values(slug="t").returning(T.c.body))
    assert result.all() == [("a",)]


UPSERTS = {
    "excluded": lambda i: i.on_conflict_do_update(
        index_elements=["id"], set_={"body": i.excluded.body}
    ),
    "key column": lambda i: i.on_conflict_do_update(
        index_elements=[T.c.id], set_={T.c.body: i.excluded.body}
    ),
    "literal": lambda i: i.on_conflict_do_update(index_elements=["id"], set_={"body": "second"}),
    "constraint": lambda i: i.on_conflict_do_update(
        constraint=T.primary_key, set_={"body": "second"}
    ),
    "constraint name": lambda i: i.on_conflict_do_update(
        constraint="core_note_pkey", set_={"body": "second"}
    ),
}


@pytest.mark.parametrize("upsert", [pytest.param(u, id=n) for n, u in UPSERTS.items()])
def test_upsert_on_the_primary_key(upsert, session):
    for body in ("first", "second"):
        session.execute(upsert(postgresql.insert(T).values(id=1, body=body)))
    assert rows(session) == [(1, "second")]


def test_upsert_of_many_rows(session):
    for word in ("first", "second"):
        statement = postgresql.insert(T)
        statement = statement.on_conflict_do_update(
            index_elements=["id"], set_={"body": statement.excluded.body}
        )
        session.execute(statement, [{"id": i, "body": f"{word}{i}"} for i in range(3)])
    assert rows(session) == [(i, f"second{i}") for i in range(3)]


def test_upsert_that_does_nothing(session):
    for body in ("first", "second"):
        session.execute(postgresql.insert(T).values(id=1, body=body).on_conflict_do_nothing())
        session.execute(
            postgresql.insert(T)
            .values(id=2, slug="s", body=body)
            .on_conflict_do_nothing(index_elements=["slug"])
        )
    assert rows(session) == [(1, "first"), (2, "first")]


def test_upsert_on_another_key_may_set_plain_columns(session):
    for number in (1, 2):
        session.execute(
            postgresql.insert(T)
            .values(id=number, slug="s", body="kept")
            .on_conflict_do_update(index_elements=["slug"], set_={"slug": "t"})
        )
    assert rows(session, T.c.id, T.c.slug, T.c.body) == [(1, "t", "kept")]


def test_upsert_keeps_the_blind_index_in_step(session):
    key = uuid.uuid4()
    for ssn in ("1", "2"):
        statement = postgresql.insert(Patient).values(id=key, name="Ada", ssn=ssn)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["id"], set_={"ssn": statement.excluded.ssn}
            )
        )
    assert session.scalars(select(Patient.ssn).where(Patient.ssn == "2")).all() == ["2"]
    assert session.scalars(select(Patient.id).where(Patient.ssn == "1")).all() == []


def test_insert_from_select_of_plain_columns_passes(session):
    session.execute(insert(T), [{"id": 1, "slug": "s", "body": "a"}])
    session.execute(
        insert(T).from_select(["id", "slug"], select(T.c.id + 1, T.c.slug + "2")),
    )
    assert rows(session, T.c.slug, T.c.body) == [("s", "a"), ("s2", None)]


def test_delete_with_conditions(session):
    session.execute(insert(T), [{"id": i, "body": None if i else "b"} for i in range(3)])
    session.execute(delete(T).where(T.c.body.is_(None)))
    assert rows(session) == [(0, "b")]


def test_insert_of_plain_columns_through_a_cte(session):
    added = insert(T).values(id=1, slug="s").returning(T.c.id).cte("added")
    assert session.execute(select(added.c.id)).all() == [(1,)]


def test_update_of_plain_columns_through_a_cte(session):
    session.execute(insert(T).values(id=1, body="a"))
    changed = update(T).values(slug="t").returning(T.c.id).cte("changed")
    statement = select(T.c.body).join(changed, changed.c.id == T.c.id)
    assert session.execute(statement).all() == [("a",)]


def test_core_insert_of_an_identity_table(session):
    session.add(Patient(id=uuid.UUID(int=1), name="Ada"))
    session.flush()
    table = Visit.__table__
    session.connection().execute(
        insert(table), [{"patient_id": uuid.UUID(int=1), "note": f"n{i}"} for i in range(3)]
    )
    notes = session.scalars(select(Visit.note).order_by(Visit.id)).all()
    assert notes == ["n0", "n1", "n2"]


def test_a_unique_index_refuses_the_same_value_twice(session):
    session.execute(insert(Patient).values(name="a", ssn="same"))
    with pytest.raises(exc.IntegrityError):
        session.execute(insert(Patient).values(name="b", ssn="same"))


def test_a_driver_level_connection_sees_ciphertext(session):
    session.execute(insert(T).values(id=1, body="plain words"))
    raw = session.execute(text("SELECT body FROM core_note")).scalar()
    assert b"plain" not in bytes(raw)
    assert session.scalar(select(func.count()).select_from(T)) == 1
