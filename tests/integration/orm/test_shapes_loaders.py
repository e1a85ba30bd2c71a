"""Every loader strategy decrypts, in both directions of a relationship."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    aliased,
    contains_eager,
    defaultload,
    defer,
    immediateload,
    joinedload,
    lazyload,
    load_only,
    noload,
    raiseload,
    selectin_polymorphic,
    selectinload,
    subqueryload,
    undefer_group,
    with_parent,
)

from tests.integration.orm.models import Doctor, Guardian, Node, Nurse, Patient, Person, Tag, Visit

ADA, BOB = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.fixture(autouse=True)
def rows(session):
    tags = [Tag(id=1, label="red"), Tag(id=2, label="blue")]
    session.add_all(
        [
            Patient(id=ADA, name="Ada", tags=tags),
            Patient(id=BOB, name="Bob", tags=tags[:1]),
            Visit(id=1, patient_id=ADA, note="v1"),
            Visit(id=2, patient_id=ADA, note="v2"),
            Guardian(patient_id=ADA, no=1, phone="t1"),
            Node(id=1, secret="root"),
            Node(id=2, parent_id=1, secret="left"),
            Node(id=3, parent_id=2, secret="leaf"),
        ]
    )
    session.flush()
    session.expunge_all()


STRATEGIES = [lazyload, joinedload, selectinload, subqueryload, immediateload]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_collection_is_loaded_by_every_strategy(strategy, session):
    statement = select(Patient).options(strategy(Patient.visits)).order_by(Patient.id)
    found = session.scalars(statement).unique().all()
    assert [[v.note for v in p.visits] for p in found] == [["v1", "v2"], []]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_scalar_is_loaded_by_every_strategy(strategy, session):
    statement = select(Visit).options(strategy(Visit.patient)).order_by(Visit.id)
    assert [v.patient.name for v in session.scalars(statement)] == ["Ada", "Ada"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_many_to_many_through_an_association_table(strategy, session):
    statement = select(Patient).options(strategy(Patient.tags)).order_by(Patient.id)
    found = session.scalars(statement).unique().all()
    assert [[t.label for t in p.tags] for p in found] == [["red", "blue"], ["red"]]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_association_object(strategy, session):
    statement = select(Guardian).options(strategy(Guardian.patient))
    guardian = session.scalars(statement).one()
    assert (guardian.phone, guardian.patient.name) == ("t1", "Ada")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_tree_is_loaded_by_every_strategy(strategy, session):
    option = strategy(Node.children)
    option = getattr(option, strategy.__name__)(Node.children)
    root = session.scalars(select(Node).options(option).where(Node.id == 1)).unique().one()
    assert root.children[0].children[0].secret == "leaf"


@pytest.mark.parametrize("strategy", [joinedload, subqueryload, selectinload])
def test_with_a_limit(strategy, session):
    statement = (
        select(Patient).options(strategy(Patient.visits)).order_by(Patient.id.desc()).limit(2)
    )
    found = session.scalars(statement).unique().all()
    assert [(p.name, len(p.visits)) for p in found] == [("Bob", 0), ("Ada", 2)]


def test_contains_eager_reads_the_joined_rows(session):
    statement = (
        select(Patient)
        .join(Patient.visits)
        .options(contains_eager(Patient.visits))
        .where(Visit.id == 2)
    )
    found = session.scalars(statement).unique().one()
    assert [v.note for v in found.visits] == ["v2"]


def test_contains_eager_of_an_alias(session):
    last = aliased(Visit)
    statement = (
        select(Patient)
        .join(Patient.visits.of_type(last))
        .options(contains_eager(Patient.visits.of_type(last)))
        .where(last.id == 1)
    )
    assert [v.note for v in session.scalars(statement).unique().one().visits] == ["v1"]


def test_raise_and_noload(session):
    raising = session.scalars(select(Patient).options(raiseload("*")).order_by(Patient.id)).first()
    with pytest.raises(InvalidRequestError, match="raise"):
        _ = raising.visits
    session.expunge_all()
    with pytest.warns(Warning, match="noload") if _noload_warns() else _nothing():
        option = noload(Patient.visits)
    silent = session.scalars(select(Patient).options(option).order_by(Patient.id)).first()
    assert silent.visits == []


def _noload_warns() -> bool:
    import sqlalchemy

    return sqlalchemy.__version__.startswith("2.1")


def _nothing():
    from contextlib import nullcontext

    return nullcontext()


def test_column_options_along_a_path(session):
    statement = (
        select(Patient)
        .options(
            joinedload(Patient.visits).load_only(Visit.note),
            defer(Patient.ssn),
            defaultload(Patient.tags).defer(Tag.label),
        )
        .order_by(Patient.id)
    )
    ada = session.scalars(statement).unique().first()
    assert ([v.note for v in ada.visits], ada.ssn) == (["v1", "v2"], None)
    assert [t.label for t in ada.tags] == ["red", "blue"]


def test_a_deferred_raising_column(session):
    ada = session.scalars(select(Patient).options(defer(Patient.name, raiseload=True))).first()
    with pytest.raises(InvalidRequestError, match="raise"):
        _ = ada.name


def test_groups_and_unknown_groups(session):
    assert session.scalars(select(Patient).options(undefer_group("none"))).first() is not None


def test_with_parent_finds_the_children(session):
    ada = session.get(Patient, ADA)
    found = session.scalars(select(Visit).where(with_parent(ada, Patient.visits))).all()
    assert sorted(v.note for v in found) == ["v1", "v2"]


def test_polymorphic_loading_in_two_steps(session):
    session.add_all([Doctor(ssn="1", licence="L"), Nurse(ssn="2", badge="B"), Person(ssn="3")])
    session.flush()
    session.expunge_all()
    option = selectin_polymorphic(Person, [Doctor, Nurse])
    found = session.scalars(select(Person).options(option).order_by(Person.id)).all()
    assert [p.ssn for p in found] == ["1", "2", "3"]
    assert (found[0].licence, found[1].badge) == ("L", "B")


def test_only_the_key_and_one_column(session):
    found = session.scalars(select(Patient).options(load_only(Patient.name))).all()
    assert sorted(p.name for p in found) == ["Ada", "Bob"]
