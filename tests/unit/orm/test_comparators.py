"""What an encrypted attribute can be compared with, and the words of refusal."""

from __future__ import annotations

import pickle

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, column, null, select
from sqlalchemy.sql import operators

from vaultdb import Encrypted, Equality
from vaultdb.errors import ConfigurationError, StatementRefused, ValueRefused
from vaultdb.orm.index_match import IndexMatch

shared = Equality(domain="people")
t = Table(
    "t",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("plain", Text),
    Column("a", Encrypted(str)),
    Column("b", Encrypted(str, index=Equality())),
    Column("c", Encrypted(str, index=shared)),
    Column("d", Encrypted(str, index=shared)),
    Column("e", Encrypted(str, index=Equality(domain="people", normalise="casefold"))),
    Column("notes", Encrypted(dict)),
)


def built(code, c):
    return eval(
        code,
        {"c": c, "t": t, "column": column, "select": select, "null": null, "bindparam": bindparam},
    )


@pytest.mark.parametrize(
    "build",
    [
        'c.like("x%")',
        'c.ilike("x%")',
        'c.startswith("x")',
        'c.contains("x")',
        'c.between("a", "b")',
        'c.regexp_match("x")',
        'c.collate("C")',
        'c.concat("x")',
        'c.op("~")("x")',
        'c.bool_op("@>")("x")',
        'c.is_distinct_from("x")',
        "c.is_(True)",
        "c.desc()",
        "c.asc()",
        "c.nulls_first()",
        "c.distinct()",
        "c.any_()",
        'c["x"]',
        "-c",
        "~c",
        'c < "x"',
        'c >= "x"',
        'c + "x"',
        '"x" + c',
        "c * 2",
        "c == c.table.alias().c.plain",
        'c == column("anything")',
        "c.in_(select(t.c.b))",
        'c.in_("text")',
        "c == select(t.c.b).scalar_subquery()",
    ],
)
@pytest.mark.parametrize("name", ["a", "b", "notes"])
def test_what_cannot_work_is_refused_at_once(build, name):
    with pytest.raises(StatementRefused, match=rf"t\.{name} is encrypted"):
        built(build, t.c[name])


@pytest.mark.parametrize("build", ["c == 'x'", "c != 'x'", "c.in_(['x'])"])
def test_without_an_index_equality_is_refused_with_the_remedy(build):
    with pytest.raises(StatementRefused, match=r"index=Equality\(\)"):
        built(build, t.c.a)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        ("c == None", "t.a IS NULL"),
        ("c != None", "t.a IS NOT NULL"),
        ("c.is_(None)", "t.a IS NULL"),
        ("c.is_not(null())", "t.a IS NOT NULL"),
        ("~c.is_(None)", "t.a IS NOT NULL"),
    ],
)
def test_null_can_be_asked_for_without_an_index(build, expected):
    assert str(built(build, t.c.a)) == expected


@pytest.mark.parametrize(
    ("build", "negated"),
    [
        ('c == "x"', False),
        ('c != "x"', True),
        ('"x" == c', False),
        ('c.in_(["x", "y"])', False),
        ('c.in_({"x", None})', False),
        ('c.not_in(("x",))', True),
        ('~(c == "x")', True),
        ('c == bindparam("q")', False),
        ('c.in_(bindparam("q", expanding=True))', False),
    ],
)
def test_an_index_answers_equality(build, negated):
    match = built(build, t.c.b)
    assert isinstance(match, IndexMatch)
    assert match.negated is negated
    assert match.companion is t.c.b_index


def test_columns_of_one_domain_can_be_joined():
    assert str(t.c.c == t.c.d) == "t.c_index = t.d_index"
    assert str(t.c.c != t.c.d) == "t.c_index != t.d_index"


@pytest.mark.parametrize("other", ["a", "b", "e"])
def test_columns_of_different_domains_cannot_be_joined(other):
    with pytest.raises(StatementRefused, match="domain="):
        _ = t.c.c == t.alias().c[other]


def test_a_value_of_another_type_is_refused_where_the_statement_is_built():
    with pytest.raises(ValueRefused, match=r"t\.b"):
        _ = t.c.b == 7


def test_a_searched_value_is_not_shown_by_the_statement():
    statement = select(t.c.id).where(t.c.b == "s3cret")
    compiled = statement.compile()
    shown = f"{statement} {compiled} {compiled.params} {statement.whereclause!r}"
    assert "s3cret" not in shown
    assert "<searched value>" in shown


def test_a_searched_value_cannot_be_pickled():
    probe = (t.c.b == "s3cret").probe.value
    with pytest.raises(TypeError, match="secret"):
        pickle.dumps(probe)


def test_statements_that_search_share_a_cache_key_only_for_one_column():
    def key(statement):
        return statement._generate_cache_key().key

    assert key(select(t.c.id).where(t.c.b == "x")) == key(select(t.c.id).where(t.c.b == "y"))
    assert key(select(t.c.id).where(t.c.b == "x")) != key(select(t.c.id).where(t.c.c == "x"))
    assert key(select(t.c.id).where(t.c.b == "x")) != key(select(t.c.id).where(t.c.b != "x"))


def test_an_operator_nobody_thought_of_is_refused():
    with pytest.raises(StatementRefused):
        t.c.b.operate(operators.custom_op("<->"), "x")


def test_json_has_an_index_only_if_it_has_an_equality():
    with pytest.raises((ConfigurationError, ValueRefused)):
        _ = (
            Table(
                "j",
                MetaData(),
                Column("id", Integer, primary_key=True),
                Column("x", Encrypted(float, index=Equality())),
            ).c.x
            == "no float"
        )
