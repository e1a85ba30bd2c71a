"""What cannot work on ciphertext is refused before anything is sent, wherever the column stands."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    LargeBinary,
    Numeric,
    String,
    and_,
    case,
    cast,
    column,
    desc,
    distinct,
    exists,
    extract,
    func,
    insert,
    lambda_stmt,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    text,
    tuple_,
    type_coerce,
    union,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased, joinedload
from sqlalchemy.sql.functions import FunctionElement

from tests.integration.orm.models import Country, Node, Patient, Visit
from vaultdb import Encrypted
from vaultdb.errors import StatementRefused, VaultDBError

P = Patient
other = aliased(Patient)


class shout(FunctionElement):
    """A user's own construct, which no walk can know."""

    name = "shout"
    type = String()
    inherit_cache = True


@compiles(shout)
def _shout(element, compiler, **kwargs):
    return f"upper({compiler.process(element.clauses, **kwargs)})"


REFUSED = {
    # sorting and grouping
    "order by": lambda: select(P.id).order_by(P.name),
    "order by desc": lambda: select(P.id).order_by(desc(P.name)),
    "order by nulls last": lambda: select(P.id).order_by(P.name.desc().nulls_last()),
    "order by a label": lambda: select(P.id, P.name.label("x")).order_by("x"),
    "order by a label object": lambda: select(x := P.name.label("x")).order_by(x.desc()),
    "order by a name": lambda: select(P.name).order_by("name"),
    "order by a function": lambda: select(P.id).order_by(func.lower(P.name)),
    "order by in a subquery": lambda: select(
        select(P.id).order_by(P.name).limit(1).subquery().c.id
    ),
    "order by of a union": lambda: union_all(select(P.id, P.name), select(P.id, P.name)).order_by(
        "name"
    ),
    "order by beside a joined eager load": lambda: (
        select(P).options(joinedload(P.visits)).order_by(P.name).limit(1)
    ),
    "order by text": lambda: select(P.id).order_by(text("name DESC")),
    "order by qualified text": lambda: select(P.id).order_by(
        text("ward, patient.name desc nulls last")
    ),
    "order by quoted text": lambda: select(P.id).order_by(text('"name"')),
    "order by a label in text": lambda: select(P.name.label("x")).order_by(text("x")),
    "order by a place in the list": lambda: select(P.id, P.name).order_by(text("2")),
    "order by a literal column": lambda: select(P.id).order_by(
        literal_column("patient.name").desc()
    ),
    "order by a place in the list of a union": lambda: union_all(
        select(P.id, P.name), select(P.id, P.name)
    ).order_by(text("2")),
    "group by text": lambda: select(func.count()).select_from(P).group_by(text("name")),
    "index compared with a plain value": lambda: select(P.id).where(
        P.__table__.c.ssn_index == "999-17-5017"
    ),
    "index searched for plain values": lambda: select(P.id).where(
        P.__table__.c.ssn_index.in_(["999-17-5017"])
    ),
    "in (select) of one index domain": lambda: select(P.id).where(P.ssn.in_(select(other.ssn))),
    "is not distinct from, in one index domain": lambda: select(P.id).join(
        other, P.ssn.is_not_distinct_from(other.ssn)
    ),
    "own operator": lambda: select(P.id).where(P.ssn.op("=")("x")),
    "subquery as a table of json": lambda: select(
        func.row_to_json(select(P.id, P.name).subquery().table_valued())
    ),
    "lambda statement": lambda: lambda_stmt(lambda: select(P.id).order_by(P.name)),
    "subquery with the key of another alias": lambda: select(
        select(P.id, other.name).join(other, P.id < other.id).subquery().c.name
    ),
    "union all without the key in a subquery": lambda: select(
        union_all(select(P.name), select(P.name)).subquery().c.name
    ),
    "group by": lambda: select(func.count()).group_by(P.name),
    "group by a label": lambda: select(P.name.label("x"), func.count()).group_by("x"),
    "having": lambda: select(P.ward).group_by(P.ward).having(func.max(P.name) == "x"),
    "distinct": lambda: select(P.name).distinct(),
    "distinct beside a plain column": lambda: select(P.name, P.ward).distinct(),
    "distinct in a subquery": lambda: select(func.count()).select_from(
        select(P.name).distinct().subquery()
    ),
    "distinct over a subquery without the key": lambda: select(
        select(P.id, P.name).subquery().c.name
    ).distinct(),
    # aggregates and windows
    "count distinct": lambda: select(func.count(distinct(P.name))),
    "max": lambda: select(func.max(P.name)),
    "min with a filter": lambda: select(func.min(P.name).filter(P.ward == "x")),
    "array_agg": lambda: select(func.array_agg(P.name)),
    "string_agg": lambda: select(func.string_agg(P.name, ",")),
    "json_agg": lambda: select(func.json_agg(P.name)),
    "json_build_object": lambda: select(func.json_build_object("n", P.name)),
    "row_to_json": lambda: select(func.row_to_json(P.__table__.table_valued())),
    "lag": lambda: select(func.lag(P.name).over(order_by=P.id)),
    "first_value": lambda: select(func.first_value(P.name).over(order_by=P.id)),
    "partition by": lambda: select(func.count().over(partition_by=P.name)),
    "over order by": lambda: select(func.row_number().over(order_by=P.name)),
    "within group": lambda: select(func.mode().within_group(P.name)),
    "aggregate order by": lambda: select(
        func.array_agg(postgresql.aggregate_order_by(P.ward, P.name))
    ),
    "filter of an aggregate": lambda: select(func.count().filter(func.lower(P.name) == "x")),
    # expressions
    "case": lambda: select(case((P.ward == "x", P.name), else_=null())),
    "case condition": lambda: select(case((func.lower(P.name) == "x", 1), else_=2)),
    "coalesce": lambda: select(func.coalesce(P.name, P.ssn)),
    "function": lambda: select(func.lower(P.name)),
    "unknown function": lambda: select(func.my_own_function(P.name)),
    "own construct": lambda: select(shout(P.name)),
    "count of an own construct": lambda: select(func.count(shout(P.name))),
    "cast": lambda: select(cast(P.name, LargeBinary)),
    "cast to its own type": lambda: select(cast(P.name, P.name.type)),
    "type_coerce": lambda: select(type_coerce(P.name, LargeBinary)),
    "type_coerce to its own type": lambda: select(type_coerce(P.name, P.__table__.c.name.type)),
    "concatenation": lambda: select(P.name + "x"),
    "concatenation from the left": lambda: select(literal("x") + P.name),
    "arithmetic": lambda: select(P.balance * 2),
    "extract": lambda: select(extract("year", P.born)),
    "collate": lambda: select(P.name.collate("C")),
    "json path": lambda: select(P.notes["a"]),
    "array": lambda: select(postgresql.array([P.name])),
    "literal column with the type": lambda: select(
        literal_column("patient.name", P.__table__.c.name.type)
    ),
    "expression in the returning of an insert": lambda: (
        insert(P).values(name="x").returning(func.lower(P.name))
    ),
    "expression in the returning of an update": lambda: (
        update(P).values(ward="x").returning(func.lower(P.name))
    ),
    # conditions
    "like": lambda: select(P.id).where(P.name.like("A%")),
    "ilike": lambda: select(P.id).where(P.name.ilike("A%")),
    "startswith": lambda: select(P.id).where(P.name.startswith("A")),
    "contains": lambda: select(P.id).where(P.name.contains("A")),
    "regexp": lambda: select(P.id).where(P.name.regexp_match("A")),
    "less than": lambda: select(P.id).where(P.born < P.born),
    "between": lambda: select(P.id).where(P.name.between("a", "b")),
    "equality without an index": lambda: select(P.id).where(P.name == "Ada"),
    "inequality without an index": lambda: select(P.id).where(P.name != "Ada"),
    "in without an index": lambda: select(P.id).where(P.name.in_(["Ada"])),
    "like on an indexed column": lambda: select(P.id).where(P.ssn.like("9%")),
    "is distinct from": lambda: select(P.id).where(P.name.is_distinct_from("Ada")),
    "any": lambda: select(P.id).where(literal("x") == func.any(P.name)),
    "equality from the left": lambda: select(P.id).where(literal("Ada") == P.name),
    "plain column equals encrypted": lambda: select(P.id).where(P.ward == P.name),
    "function compared": lambda: select(P.id).where(func.lower(P.name) == "ada"),
    "bare condition": lambda: select(P.id).where(P.name),
    "negated condition": lambda: select(P.id).where(not_(P.name)),
    "inside or": lambda: select(P.id).where(or_(P.ward == "x", func.lower(P.name) == "x")),
    "inside and": lambda: select(P.id).where(and_(P.ward == "x", P.ward == func.lower(P.name))),
    "tuple": lambda: select(P.id).where(tuple_(P.ward, P.name).in_([("x", "y")])),
    "in (select)": lambda: select(P.id).where(P.ward.in_(select(P.name))),
    "encrypted in (select)": lambda: select(P.id).where(P.name.in_(select(P.name))),
    "in (union)": lambda: select(P.id).where(P.ward.in_(select(P.name).union_all(select(P.name)))),
    "exists with a condition": lambda: select(exists().where(func.lower(P.name) == "x")),
    "where of an update": lambda: update(P).where(func.lower(P.name) == "x").values(ward="x"),
    # joins and subqueries
    "join on plain and encrypted": lambda: select(P.id).join(other, P.ward == other.name),
    "join on two columns without an index": lambda: select(P.id).join(other, P.name == other.name),
    "join on columns of two domains": lambda: select(P.id).join(Visit, P.ssn == Visit.note),
    "scalar subquery": lambda: select(select(P.name).limit(1).scalar_subquery()),
    "labelled scalar subquery": lambda: select(
        select(P.name).limit(1).scalar_subquery().label("x")
    ),
    "compared scalar subquery": lambda: select(P.id).where(
        P.ward == select(other.name).limit(1).scalar_subquery()
    ),
    "array of a subquery": lambda: select(func.array(select(P.name).scalar_subquery())),
    "subquery without the key": lambda: select(select(P.name).subquery().c.name),
    # set operations
    "union": lambda: union(select(P.name), select(P.name)),
    "intersect": lambda: select(P.name).intersect(select(P.name)),
    "intersect all": lambda: select(P.name).intersect_all(select(P.name)),
    "except": lambda: select(P.name).except_(select(P.name)),
    "except all": lambda: select(P.name).except_all(select(P.name)),
    "union all across logical names": lambda: union_all(select(P.id, P.name), select(P.id, P.ssn)),
    "union across logical names with the key": lambda: union(
        select(P.id, P.name), select(P.id, P.ssn)
    ),
    "union all with a plain column": lambda: union_all(select(P.id, P.name), select(P.id, P.ward)),
    "union all with a literal": lambda: union_all(select(P.id, P.name), select(P.id, literal("x"))),
    "union all that starts with NULL": lambda: union_all(
        select(P.id, null()), select(P.id, P.name)
    ),
    "union in a subquery": lambda: select(union(select(P.name), select(P.name)).subquery().c.name),
    "union inside union all": lambda: union_all(
        select(P.name), union(select(P.name), select(P.name))
    ),
    # text
    "from_statement(text())": lambda: select(P).from_statement(text("SELECT * FROM patient")),
    "text().columns()": lambda: text("SELECT id, name FROM patient").columns(
        P.__table__.c.id, P.__table__.c.name
    ),
    "text().columns(name=type)": lambda: text("SELECT name FROM patient").columns(
        name=P.__table__.c.name.type
    ),
    "subquery of text().columns()": lambda: select(
        text("SELECT id, name FROM patient")
        .columns(P.__table__.c.id, P.__table__.c.name)
        .subquery()
        .c.name
    ),
    # writes
    "insert from select": lambda: insert(P).from_select(["id", "name"], select(P.id, P.name)),
    "insert a plain column from an encrypted one": lambda: insert(Country).from_select(
        ["code"], select(P.name)
    ),
    "insert an encrypted column from a plain one": lambda: insert(P).from_select(
        ["id", "ward", "name"], select(P.id, P.ward, P.ward)
    ),
    "encrypted result of an insert in a CTE": lambda: select(
        insert(P).values(ward="x", name=None).returning(P.id, P.name).cte().c.name
    ),
    "insert in a CTE": lambda: select(insert(P).values(name="x").returning(P.id).cte().c.id),
    "update in a CTE": lambda: select(update(P).values(name="x").returning(P.id).cte().c.id),
    "set a column to another": lambda: update(P).values(name=P.ssn),
    "set a plain column to an encrypted one": lambda: update(P).values(ward=P.name),
    "set a column to itself": lambda: update(P).values(name=P.name),
    "set a column to an expression": lambda: update(P).values(name=func.lower(P.ward)),
    "set a plain column to a subquery": lambda: update(P).values(
        ward=select(other.name).limit(1).scalar_subquery()
    ),
    "set from another table": lambda: (
        update(P).where(P.id == Visit.patient_id).values(ward=Visit.note)
    ),
}


@pytest.mark.parametrize("build", [pytest.param(b, id=n) for n, b in REFUSED.items()])
def test_is_refused_with_a_remedy_and_nothing_is_sent(build, session, sent):
    with pytest.raises(StatementRefused) as caught:
        session.execute(build())
    assert sent == []
    assert ":" in str(caught.value) or ";" in str(caught.value)  # the remedy follows
    assert str(caught.value)[-1] != "."


def test_the_second_attempt_is_refused_too(session, sent):
    """No refused statement gets into the cache of compiled statements."""
    for _ in range(3):
        with pytest.raises(StatementRefused, match="ORDER BY"):
            session.execute(select(P.id).order_by(P.name))
    assert sent == []


def test_the_message_names_the_column_the_place_and_the_remedy(session):
    with pytest.raises(StatementRefused) as caught:
        session.execute(select(P.id).order_by(P.name))
    assert str(caught.value) == (
        "patient.name is encrypted and cannot stand in ORDER BY: sort the loaded rows in Python, "
        "or order by a column that is not encrypted"
    )


def test_an_encrypted_order_by_of_a_relationship_is_refused_when_it_loads(session):
    with pytest.raises(StatementRefused, match="ORDER BY"):
        session.scalars(select(Node).order_by(Node.secret)).all()


def test_a_type_without_a_column_is_refused_by_name(session, sent):
    with pytest.raises(VaultDBError):
        session.execute(select(column("name", Encrypted(str))).select_from(P.__table__))
    assert sent == []


def test_a_value_with_the_encrypted_type_in_a_select_is_refused(session, sent):
    with pytest.raises(VaultDBError):
        session.execute(select(literal("Ada", P.__table__.c.name.type)))
    assert sent == []


def test_the_row_filter_of_a_returned_plain_numeric_still_works(session):
    """A plain aggregate beside encrypted columns is nobody's business."""
    assert session.scalar(select(func.sum(cast(literal(1), Numeric))).select_from(P)) is None
