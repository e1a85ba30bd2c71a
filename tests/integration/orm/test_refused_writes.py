"""Writes that would leave a value without its row, or spread one value over rows, are refused."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import bindparam, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import aliased

from tests.integration.orm.models import (
    Base,
    Country,
    Freely,
    Guardian,
    Node,
    Patient,
    Visit,
    core_note,
)
from vaultdb.errors import StatementRefused, ValueRefused, VaultDBError

P = Patient
KEY = uuid.UUID(int=7)


@pytest.fixture
def patient(session):
    session.execute(insert(P).values(id=KEY, name="Ada", ssn="1"))
    session.execute(insert(P).values(id=uuid.UUID(int=8), name="Bob", ssn="2"))


REFUSED = {
    "no where": lambda: update(P).values(name="x"),
    "where on a plain column": lambda: update(P).where(P.ward == "north").values(name="x"),
    "key in": lambda: update(P).where(P.id.in_([KEY])).values(name="x"),
    "key in an or": lambda: update(P).where(or_(P.id == KEY, P.ward == "north")).values(name="x"),
    "key of an alias": lambda: update(P).where(aliased(P).id == KEY).values(name="x"),
    "key compared with a column": lambda: (
        update(P).where(P.id == Visit.patient_id).values(name="x")
    ),
    "key compared with a subquery": lambda: (
        update(P)
        .where(P.id == select(Visit.patient_id).limit(1).scalar_subquery())
        .values(name="x")
    ),
    "key not equal": lambda: update(P).where(P.id != KEY).values(name="x"),
    "negated key": lambda: update(P).where(~(P.id == KEY)).values(name="x"),
    "key under a function": lambda: (
        update(P).where(func.coalesce(P.id, P.id) == KEY).values(name="x")
    ),
    "part of a composite key": lambda: (
        update(Guardian).where(Guardian.patient_id == KEY).values(phone="x")
    ),
    "upsert on another key": lambda: (
        i := postgresql.insert(core_note).values(slug="s", body="x")
    ).on_conflict_do_update(index_elements=["slug"], set_={"body": i.excluded.body}),
    "upsert that sets a plain column from an encrypted one": lambda: (
        i := postgresql.insert(core_note).values(id=1, slug="s", body="x")
    ).on_conflict_do_update(index_elements=["id"], set_={"slug": i.excluded.body}),
    "upsert that sets a column from another": lambda: (
        i := postgresql.insert(core_note).values(id=1, slug="s", body="x", extra="y")
    ).on_conflict_do_update(index_elements=["id"], set_={"body": i.excluded.extra}),
    "upsert with a condition on ciphertext": lambda: (
        i := postgresql.insert(core_note).values(id=1, slug="s", body="x")
    ).on_conflict_do_update(
        index_elements=["id"],
        set_={"body": i.excluded.body},
        where=func.lower(i.excluded.body) == "x",
    ),
    "insert of an expression": lambda: insert(P).values(id=KEY, name=func.lower("X")),
    "insert of a subquery": lambda: insert(P).values(
        id=KEY, name=select(P.ward).limit(1).scalar_subquery()
    ),
}


@pytest.mark.parametrize("build", [pytest.param(b, id=n) for n, b in REFUSED.items()])
def test_is_refused_and_nothing_is_written(build, session, patient, sent):
    sent.clear()
    with pytest.raises(StatementRefused):
        session.execute(build())
    assert [s for s in sent if not s.lstrip().upper().startswith("SELECT")] == []
    assert sorted(session.scalars(select(P.name)).all()) == ["Ada", "Bob"]


def test_a_new_key_needs_every_row_bound_column_anew(session, patient):
    ada = session.get(P, KEY)
    ada.id = uuid.UUID(int=9)
    with pytest.raises(StatementRefused):
        session.flush()


def test_a_new_key_with_every_value_is_written(session):
    session.add(Node(id=1, secret="before"))
    session.flush()
    node = session.get(Node, 1)
    node.id, node.secret = 2, "after"
    session.commit()
    session.expire_all()
    assert session.get(Node, 2).secret == "after"


def test_null_needs_no_key_because_erasure_must_always_work(session, patient):
    session.execute(update(P).values(ssn=None))
    session.expire_all()
    assert session.scalars(select(P.ssn)).all() == [None, None]
    assert session.scalars(select(P.name).where(P.ssn.is_(None)).order_by(P.id)).all() == [
        "Ada",
        "Bob",
    ]


def test_two_values_of_one_key_match_no_row(session, patient):
    done = session.execute(
        update(P).where(P.id == KEY, P.id == uuid.UUID(int=8)).values(name="x"),
        execution_options={"synchronize_session": False},
    )
    assert done.rowcount == 0


def test_an_update_by_key_matches_one_row(session, patient):
    done = session.execute(update(P).where(P.id == KEY).values(name="x"))
    assert done.rowcount == 1


def test_a_key_pinned_twice_to_the_same_value_is_one_key(session, patient):
    session.execute(update(P).where(P.id == KEY, P.ward == "north").values(name="x"))
    assert session.scalar(select(P.name).where(P.id == KEY)) == "x"


def test_a_column_bound_column_is_updated_without_a_key(session):
    session.add_all([Freely(id=1, secret="a"), Freely(id=2, secret="b")])
    session.flush()
    session.execute(update(Freely).values(secret="same"))
    session.expire_all()
    assert session.scalars(select(Freely.secret)).all() == ["same", "same"]


@pytest.mark.parametrize(
    "value", [7, b"bytes", "\ud800", "nul \x00", "x" * (1 << 20) + "x"], ids=lambda v: repr(v)[:12]
)
def test_a_value_that_does_not_fit_is_refused_before_anything_is_sent(value, session, sent):
    session.add(Country(code="xx", secret=value))
    with pytest.raises(ValueRefused) as caught:
        session.flush()
    assert not any("INSERT" in statement for statement in sent)
    assert repr(value)[:40] not in str(caught.value)


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1, 1 << 200])
def test_an_integer_over_64_bits_is_refused(value, engine):
    from vaultdb import Encrypted

    with pytest.raises(ValueRefused):
        Encrypted(int).encode(value)


def test_a_parameter_name_for_an_encrypted_value_is_resolved_per_set(session):
    session.execute(
        insert(core_note).values(id=bindparam("b_id"), body=bindparam("b_body")),
        [{"b_id": 1, "b_body": "one"}, {"b_id": 2, "b_body": None}],
    )
    assert session.execute(select(core_note.c.body).order_by(core_note.c.id)).scalars().all() == [
        "one",
        None,
    ]


def test_every_refusal_is_a_vaultdb_error():
    assert issubclass(StatementRefused, VaultDBError)
    assert Base.metadata.tables  # the matrix is not empty
