"""SELECT in every shape that can work: the key columns are found where the value comes from."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import (
    and_,
    bindparam,
    exists,
    func,
    lateral,
    literal,
    literal_column,
    null,
    or_,
    select,
    text,
    true,
    union,
    union_all,
)
from sqlalchemy.orm import Bundle, aliased, contains_eager, joinedload, with_loader_criteria

import vaultdb
from tests.integration.orm.models import Country, Guardian, Node, Patient, Visit, core_note

P, V = Patient, Visit
KEYS = [uuid.UUID(int=i) for i in range(3)]


@pytest.fixture(autouse=True)
def rows(session):
    session.add_all(
        [
            P(id=KEYS[0], name="Ada", ssn="0", ward="north"),
            P(id=KEYS[1], name="Bob", ssn="1", ward="north"),
            P(id=KEYS[2], name="Cyd", ssn=None, ward="south"),
            V(id=1, patient_id=KEYS[0], note="v1"),
            V(id=2, patient_id=KEYS[0], note=None),
            V(id=3, patient_id=KEYS[1], note="v3"),
            Node(id=1, secret="root"),
            Node(id=2, parent_id=1, secret="left"),
            Node(id=3, parent_id=1, secret="right"),
            Node(id=4, parent_id=2, secret="leaf"),
        ]
    )
    session.flush()
    session.expunge_all()


def q(session, statement):
    return session.execute(statement).all()


def test_columns_labels_and_repeats(session):
    assert q(session, select(P.name, P.name, P.name.label("x")).where(P.id == KEYS[0])) == [
        ("Ada", "Ada", "Ada")
    ]


def test_without_the_key_in_the_list(session):
    assert q(session, select(P.name).order_by(P.id)) == [("Ada",), ("Bob",), ("Cyd",)]


def test_where_on_a_blind_index(session):
    assert q(session, select(P.name).where(P.ssn == "1")) == [("Bob",)]
    assert q(session, select(P.name).where(P.ssn == "1")) == [("Bob",)]
    assert q(session, select(P.name).where(P.ssn.in_(["0", "1", "9"])).order_by(P.id)) == [
        ("Ada",),
        ("Bob",),
    ]
    assert q(session, select(P.name).where(P.ssn != "1")) == [("Ada",)]
    assert q(session, select(P.name).where(P.ssn.not_in(["0"]))) == [("Bob",)]
    assert q(session, select(P.name).where(P.ssn.in_([]))) == []
    assert q(
        session, select(P.name).where(or_(P.ssn == "0", P.ward == "south")).order_by(P.id)
    ) == [
        ("Ada",),
        ("Cyd",),
    ]


def test_where_on_a_blind_index_with_a_bind_parameter(session):
    statement = select(P.name).where(P.ssn == bindparam("wanted"))
    assert session.execute(statement, {"wanted": "0"}).all() == [("Ada",)]
    assert session.execute(statement, {"wanted": "1"}).all() == [("Bob",)]


def test_a_condition_on_a_blind_index_brings_its_table(session):
    assert session.scalar(select(func.count()).where(P.ssn == "1")) == 1
    assert session.scalar(select(literal("x")).where(P.ssn != "1")) == "x"
    assert session.scalar(select(exists().where(P.ssn == "7"))) is False
    assert session.scalars(
        select(V.id).where(exists().where(P.ssn == "1", P.id == V.patient_id))
    ).all() == [3]


def test_null_is_found_and_told_from_values(session):
    assert q(session, select(P.name).where(P.ssn.is_(None))) == [("Cyd",)]
    assert q(session, select(P.name).where(P.ssn == None)) == [("Cyd",)]  # noqa: E711
    assert q(session, select(P.name).where(P.ssn.is_not(None)).order_by(P.id)) == [
        ("Ada",),
        ("Bob",),
    ]
    assert q(session, select(V.id).where(V.note.is_(null()))) == [(2,)]
    assert session.scalar(select(P.ssn.is_(None)).where(P.id == KEYS[2])) is True


def test_count_counts_the_values_that_are_not_null(session):
    assert session.scalar(select(func.count(P.ssn))) == 2
    assert session.scalar(select(func.count(P.ssn).filter(P.ward == "north"))) == 2
    assert session.scalar(select(func.count()).select_from(select(P).subquery())) == 3
    assert session.scalar(select(func.count(P.id.distinct()))) == 3
    counted = select(P.ward, func.count(P.ssn)).group_by(P.ward).order_by(P.ward)
    assert q(session, counted) == [("north", 2), ("south", 0)]
    assert q(session, counted.having(func.count(P.ssn) > 0)) == [("north", 2)]
    windowed = select(P.name, func.count(P.ssn).over(partition_by=P.ward)).order_by(P.id)
    assert q(session, windowed) == [("Ada", 2), ("Bob", 2), ("Cyd", 0)]


def test_a_window_over_plain_columns_beside_an_encrypted_one(session):
    ranked = select(P.name, func.row_number().over(partition_by=P.ward, order_by=P.id)).order_by(
        P.id
    )
    assert q(session, ranked) == [("Ada", 1), ("Bob", 2), ("Cyd", 1)]


def test_distinct_entities_and_rows_with_their_key(session):
    joined = select(P).join(V).distinct().order_by(P.id)
    assert [p.name for p in session.scalars(joined)] == ["Ada", "Bob"]
    assert q(session, select(P.id, P.name).distinct().order_by(P.id))[0] == (KEYS[0], "Ada")


def test_group_by_the_primary_key(session):
    statement = select(P.name, func.count(V.id)).join(V).group_by(P.id).order_by(P.id)
    assert q(session, statement) == [("Ada", 2), ("Bob", 1)]


def test_aliases_read_their_own_rows(session):
    a = aliased(P)
    assert [p.name for p in session.scalars(select(a).order_by(a.id))] == ["Ada", "Bob", "Cyd"]
    assert q(session, select(a.name).where(a.ssn == "1")) == [("Bob",)]
    both = select(a.name, P.name).where(a.id < P.id).order_by(a.id, P.id)
    assert q(session, both) == [("Ada", "Bob"), ("Ada", "Cyd"), ("Bob", "Cyd")]
    t = P.__table__.alias("t")
    assert q(session, select(t.c.name).order_by(t.c.id).limit(1)) == [("Ada",)]


def test_subqueries_that_select_the_key_supply_values(session):
    sub = select(P.id, P.name).where(P.ward == "north").subquery()
    assert q(session, select(sub.c.name).order_by(sub.c.id)) == [("Ada",), ("Bob",)]
    twice = select(sub).subquery()
    assert q(session, select(twice.c.name).order_by(twice.c.id)) == [("Ada",), ("Bob",)]
    renamed = select(P.id.label("k"), P.name.label("n")).subquery()
    assert q(session, select(renamed.c.n).order_by(renamed.c.k).limit(1)) == [("Ada",)]
    assert q(session, select(sub.c.id).where(sub.c.name.is_(None))) == []


def test_an_entity_from_a_subquery(session):
    sub = select(P).where(P.ward == "north").subquery()
    entity = aliased(P, sub)
    assert [p.name for p in session.scalars(select(entity).order_by(entity.id))] == ["Ada", "Bob"]
    picked = select(P).join(sub, sub.c.id == P.id).order_by(P.id)
    assert [p.name for p in session.scalars(picked)] == ["Ada", "Bob"]


def test_a_subquery_over_two_aliases_of_one_table(session):
    a, b = aliased(Node), aliased(Node)
    sub = (
        select(a.id.label("ai"), a.secret.label("as_"), b.id.label("bi"), b.secret.label("bs"))
        .join(b, b.parent_id == a.id)
        .subquery()
    )
    assert q(session, select(sub.c.as_, sub.c.bs).order_by(sub.c.bi)) == [
        ("root", "left"),
        ("root", "right"),
        ("left", "leaf"),
    ]


def test_ctes_that_select_the_key_supply_values(session):
    cte = select(P.id, P.name).where(P.ward == "north").cte("north")
    assert q(session, select(cte.c.name).order_by(cte.c.id)) == [("Ada",), ("Bob",)]
    other = cte.alias()
    both = select(cte.c.name, other.c.name).where(cte.c.id < other.c.id)
    assert q(session, both) == [("Ada", "Bob")]
    nested = select(cte).cte("nested", nesting=True)
    assert q(session, select(nested.c.name).order_by(nested.c.id)) == [("Ada",), ("Bob",)]


def test_a_recursive_cte(session):
    tree = select(Node.id, Node.secret).where(Node.id == 2).cte("tree", recursive=True)
    up = select(Node.id, Node.secret).join(tree, Node.parent_id == tree.c.id)
    tree = tree.union_all(up)
    assert q(session, select(tree.c.secret).order_by(tree.c.id)) == [("left",), ("leaf",)]


def test_a_recursive_cte_of_entities(session):
    top = select(Node).where(Node.id == 1).cte("top", recursive=True)
    step = aliased(Node)
    top = top.union_all(select(step).join(top, step.parent_id == top.c.id))
    entity = aliased(Node, top)
    found = session.scalars(select(entity).order_by(entity.id)).all()
    assert [n.secret for n in found] == ["root", "left", "right", "leaf"]


def test_a_lateral_subquery_supplies_values(session):
    last = lateral(
        select(V.id, V.note).where(V.patient_id == P.id).order_by(V.id).limit(1), name="last"
    )
    statement = select(P.name, last.c.note).outerjoin(last, true()).order_by(P.id)
    assert q(session, statement) == [("Ada", "v1"), ("Bob", "v3"), ("Cyd", None)]


def test_union_all_of_one_logical_name(session):
    north = select(P.name).where(P.ward == "north")
    south = select(P.name).where(P.ward == "south")
    assert sorted(q(session, union_all(north, south))) == [("Ada",), ("Bob",), ("Cyd",)]
    assert sorted(q(session, north.union_all(south, south))) == [
        ("Ada",),
        ("Bob",),
        ("Cyd",),
        ("Cyd",),
    ]


def test_union_all_with_the_key_in_a_subquery(session):
    both = union_all(
        select(P.id, P.name).where(P.ward == "north"), select(P.id, P.name).where(P.ward == "south")
    ).subquery()
    assert q(session, select(both.c.name).order_by(both.c.id)) == [("Ada",), ("Bob",), ("Cyd",)]


def test_union_of_rows_with_their_key(session):
    statement = union(select(P.id, P.name), select(P.id, P.name).where(P.ward == "north"))
    assert sorted(q(session, statement)) == list(zip(KEYS, ["Ada", "Bob", "Cyd"], strict=True))


def test_intersect_and_except_of_rows_with_their_key(session):
    every = select(P.id, P.name)
    north = every.where(P.ward == "north")
    assert sorted(q(session, every.intersect(north))) == [(KEYS[0], "Ada"), (KEYS[1], "Bob")]
    assert q(session, every.except_(north)) == [(KEYS[2], "Cyd")]


def test_union_all_of_entities(session):
    statement = union_all(select(P).where(P.ward == "north"), select(P).where(P.ward == "south"))
    found = session.scalars(select(P).from_statement(statement)).all()
    assert sorted(p.name for p in found) == ["Ada", "Bob", "Cyd"]
    entity = aliased(P, statement.subquery())
    assert len(session.scalars(select(entity)).all()) == 3


def test_union_all_with_null(session):
    statement = union_all(select(P.id, P.name), select(P.id, null()))
    assert len([name for _, name in q(session, statement) if name is None]) == 3


def test_left_join_without_a_match_is_null(session):
    statement = select(P.name, V.note).outerjoin(V).order_by(P.id, V.id)
    assert q(session, statement) == [("Ada", "v1"), ("Ada", None), ("Bob", "v3"), ("Cyd", None)]
    entities = select(P, V).outerjoin(V).order_by(P.id, V.id)
    assert [v and v.note for _, v in q(session, entities)] == ["v1", None, "v3", None]
    assert q(
        session, select(Country.secret).select_from(P).outerjoin(Country, true()).limit(1)
    ) == [(None,)]


def test_full_and_right_joins(session):
    statement = select(P.name, V.note).join(V, full=True).order_by(P.id, V.id)
    assert len(q(session, statement)) == 4


def test_joins_within_one_index_domain(session):
    other = aliased(P)
    statement = select(P.name, other.name).join(other, P.ssn == other.ssn).order_by(P.id)
    assert q(session, statement) == [("Ada", "Ada"), ("Bob", "Bob")]


def test_exists_and_has_compare_by_the_index(session):
    visited = select(P.name).where(exists().where(V.patient_id == P.id)).order_by(P.id)
    assert q(session, visited) == [("Ada",), ("Bob",)]
    with_note = select(P.name).where(P.visits.any(V.note.is_(None)))
    assert q(session, with_note) == [("Ada",)]
    assert q(session, select(V.id).where(V.patient.has(P.ssn == "1"))) == [(3,)]
    assert session.scalar(select(select(P.name).where(P.ssn == "1").exists())) is True
    assert session.scalar(select(exists(select(P.name).where(P.ssn == "7")))) is False


def test_in_a_subquery_of_keys(session):
    statement = select(P.name).where(P.id.in_(select(V.patient_id).where(V.note.is_(None))))
    assert q(session, statement) == [("Ada",)]


def test_scalar_subqueries_of_plain_columns(session):
    n = select(func.count(V.id)).where(V.patient_id == P.id).scalar_subquery()
    assert q(session, select(P.name, n).order_by(P.id)) == [("Ada", 2), ("Bob", 1), ("Cyd", 0)]


def test_bundles_and_tuples(session):
    bundle = Bundle("b", P.name, P.ssn)
    assert session.execute(select(bundle).order_by(P.id).limit(1)).one()[0] == ("Ada", "0")
    assert session.execute(select(P, P.name).order_by(P.id)).first()[1] == "Ada"


def test_contains_eager_of_a_self_reference_with_a_limit(session):
    parent = aliased(Node)
    statement = (
        select(Node)
        .join(Node.parent.of_type(parent))
        .options(contains_eager(Node.parent.of_type(parent)), joinedload(Node.children))
        .order_by(Node.id)
        .limit(2)
    )
    found = session.scalars(statement).unique().all()
    assert [(n.secret, n.parent.secret) for n in found] == [("left", "root"), ("right", "root")]
    assert [c.secret for c in found[0].children] == ["leaf"]


def test_loader_criteria_may_test_for_null(session):
    session.expunge_all()
    option = with_loader_criteria(V, V.note.is_not(None))
    found = session.scalars(select(P).options(joinedload(P.visits), option).order_by(P.id)).unique()
    assert [[v.note for v in p.visits] for p in found] == [["v1"], ["v3"], []]


def test_text_in_order_by_that_names_plain_columns(session):
    for words in ("ward, id", "patient.id ASC", "1", '"id" desc nulls last', "upper(ward), id"):
        assert len(q(session, select(P.id, P.name).order_by(text(words)))) == 3
    hidden = select(P.ward.label("name")).order_by(text("name DESC"))  # the label comes first
    assert q(session, hidden)[0] == ("south",)
    joined = select(V.id).join(P).order_by(text("visit.id"), literal_column("patient.ward"))
    assert q(session, joined) == [(1,), (2,), (3,)]


def test_limit_offset_fetch_and_for_update(session):
    assert q(session, select(P.name).order_by(P.id).limit(1).offset(1)) == [("Bob",)]
    assert q(session, select(P.name).order_by(P.id).fetch(1)) == [("Ada",)]
    locked = select(P).where(P.id == KEYS[0]).with_for_update(of=P)
    assert session.scalars(locked).one().name == "Ada"


def test_literals_beside_encrypted_columns(session):
    statement = select(literal("x"), literal_column("1"), P.name, text("2")).limit(1).order_by(P.id)
    assert q(session, statement) == [("x", 1, "Ada", 2)]


def test_conditions_that_hold_only_plain_columns(session):
    statement = select(P.name).where(and_(P.ward == "north", or_(P.id == KEYS[0], P.ward == "x")))
    assert q(session, statement) == [("Ada",)]


def test_from_statement_with_the_columns_of_the_model(session):
    statement = text(f"SELECT {vaultdb.columns(P)} FROM patient WHERE ward = :w ORDER BY id")
    found = session.scalars(select(P).from_statement(statement.bindparams(w="north"))).all()
    assert [(p.name, p.ssn) for p in found] == [("Ada", "0"), ("Bob", "1")]


def test_a_statement_from_the_cache_takes_new_values(session):
    for ssn, name in (("0", "Ada"), ("1", "Bob"), ("0", "Ada")):
        assert q(session, select(P.name).where(P.ssn == ssn)) == [(name,)]


def test_a_composite_key_binds_values(session):
    session.add_all([Guardian(patient_id=KEYS[0], no=n, phone=f"t{n}") for n in (1, 2)])
    session.flush()
    assert q(session, select(Guardian.phone).order_by(Guardian.no)) == [("t1",), ("t2",)]
    sub = select(Guardian).subquery()
    assert q(session, select(sub.c.phone).order_by(sub.c.no)) == [("t1",), ("t2",)]


def test_core_tables_are_read_without_the_orm(session):
    session.execute(core_note.insert(), [{"id": 1, "body": "b", "extra": "e"}])
    assert q(session, core_note.select()) == [(1, None, "b", "e")]
    row = session.execute(select(core_note)).mappings().one()
    assert (row["body"], row[core_note.c.extra]) == ("b", "e")
