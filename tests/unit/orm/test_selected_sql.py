"""The SQL of selected encrypted columns: where the key of a value is taken from."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    cast,
    func,
    insert,
    literal,
    null,
    select,
    text,
    type_coerce,
    union_all,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite

from vaultdb import Encrypted, Equality
from vaultdb.errors import StatementRefused

metadata = MetaData()
doc = Table(
    "doc",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("slug", String),
    Column("a", Encrypted(str)),
    Column("c", Encrypted(str, index=Equality())),
    Column("free", Encrypted(str, bind="column")),
    Column("owned", Encrypted(str, tenant_column="slug")),
)
other = Table(
    "other", metadata, Column("id", Integer, primary_key=True), Column("a", Encrypted(str))
)
archive = Table(
    "archive",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("a", Encrypted(str, logical_name="doc.a")),
)
named = Table("named", metadata, Column("k", Text, primary_key=True), Column("a", Encrypted(str)))


def sql(statement, dialect=None) -> str:
    compiled = statement.compile(dialect=dialect or postgresql.dialect())
    text = re.sub(r"\s+", " ", str(compiled)).replace("OPERATOR(pg_catalog.||)", "||")
    return text.replace("pg_catalog.", "")


def row(key: str) -> str:
    return rf"coalesce('\x0000000e010100000008'::bytea || int8send({key}), '\x00000000'::bytea)"


def test_a_value_is_selected_behind_the_key_of_its_row():
    assert sql(select(doc.c.a)) == f"SELECT {row('doc.id')} || doc.a AS a FROM doc"


def test_a_key_of_varying_size_brings_its_size():
    size, value = (
        "int4send(octet_length(convert_to(named.k, 'UTF8')))",
        "convert_to(named.k, 'UTF8')",
    )
    statement = sql(select(named.c.a))
    assert "vaultdb.bind_row(" in statement
    assert f"('\\x0103'::bytea || {size}) || {value}" in statement


@pytest.mark.parametrize(
    "statement",
    [
        select(doc.c.a).order_by(doc.c.slug),
        select(doc.c.a).group_by(doc.c.id),
        select(doc.c.id, doc.c.a).distinct(),
        union_all(select(doc.c.a), select(doc.c.a)).order_by(text("1")),
    ],
    ids=["order by", "group by", "distinct", "union order by"],
)
def test_where_the_server_may_sort_the_row_is_joined_by_the_volatile_function(statement):
    assert "vaultdb.bind_row(coalesce('\\x010100000008'::bytea || int8send(doc.id)" in sql(
        statement
    )


def test_a_column_that_is_bound_to_no_row_is_selected_as_it_is():
    assert sql(select(doc.c.free)) == "SELECT doc.free AS free FROM doc"


def test_a_tenant_column_comes_along():
    assert "'\\xc2'::bytea" in sql(select(doc.c.owned))
    assert "convert_to(CAST(doc.slug AS TEXT), 'UTF8')" in sql(select(doc.c.owned))


def test_an_alias_supplies_its_own_key():
    first, second = doc.alias("x"), doc.alias("y")
    statement = sql(select(first.c.a, second.c.a))
    assert f"{row('x.id')} || x.a" in statement
    assert f"{row('y.id')} || y.a" in statement


def test_a_subquery_over_two_aliases_supplies_the_key_of_the_right_one():
    first, second = doc.alias("x"), doc.alias("y")
    inner = select(first.c.id.label("k1"), second.c.id.label("k2"), second.c.a).subquery("q")
    assert sql(select(inner.c.a)).startswith(f"SELECT {row('q.k2')} || q.a AS a")


def test_the_table_and_its_alias_are_kept_apart_too():
    alias = doc.alias("x")
    inner = select(alias.c.id.label("k1"), doc.c.id.label("k2"), doc.c.a).subquery("q")
    assert sql(select(inner.c.a)).startswith(f"SELECT {row('q.k2')} || q.a AS a")


@pytest.mark.parametrize("wrap", ["subquery", "cte", "lateral"])
def test_keys_pass_through_levels(wrap):
    inner = getattr(select(doc.c.id.label("k"), doc.c.a.label("v")), wrap)("inner_q")
    outer = select(inner.c.v.label("w"), inner.c.k).subquery("outer_q")
    assert f"{row('outer_q.k')} || outer_q.w" in sql(select(outer.c.w))


def test_a_recursive_cte_supplies_its_key():
    start = select(doc.c.id, doc.c.a).cte("walk", recursive=True)
    walk = start.union_all(select(doc.c.id, doc.c.a).join(start, start.c.id == doc.c.id))
    assert f"{row('walk.id')} || walk.a" in sql(select(walk.c.a))


def test_union_all_of_one_logical_name_supplies_the_key_in_its_place():
    both = union_all(select(doc.c.id, doc.c.a), select(archive.c.id, archive.c.a)).subquery("u")
    assert f"{row('u.id')} || u.a" in sql(select(both.c.a))


def test_a_typed_null_in_a_union_does_not_matter():
    nothing = select(doc.c.id, cast(null(), doc.c.a.type).label("a"))
    both = union_all(nothing, select(doc.c.id, doc.c.a)).subquery("u")
    assert f"{row('u.id')} || u.a" in sql(select(both.c.a))
    assert sql(select(nothing.subquery("n").c.a)).startswith("SELECT n.a FROM")


def test_returning_takes_the_key_of_the_table():
    assert f"RETURNING {row('doc.id')} || doc.a AS a" in sql(insert(doc).returning(doc.c.a))


def test_the_stored_bytes_can_be_asked_for():
    assert sql(select(type_coerce(doc.c.a, LargeBinary))) == "SELECT doc.a AS a FROM doc"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            lambda: select(select(doc.c.a).subquery().c.a),
            r"select doc\.id beside it in the inner query",
        ),
        (
            lambda: select(
                union_all(select(doc.c.id, doc.c.a), select(other.c.id, other.c.a)).subquery().c.a
            ),
            r"doc\.a and other\.a.*two statements",
        ),
        (
            lambda: select(
                union_all(
                    select(doc.c.id, doc.c.a, literal(1)), select(literal(1), doc.c.a, doc.c.id)
                )
                .subquery()
                .c.a
            ),
            "different places",
        ),
        (lambda: select(func.max(doc.c.a)), "compute in Python"),
        (lambda: select(select(doc.c.a).scalar_subquery()), "compute in Python"),
    ],
    ids=["no key", "two names", "key elsewhere", "function", "scalar subquery"],
)
def test_what_does_not_bring_its_key_is_refused_with_the_remedy(statement, words):
    with pytest.raises(StatementRefused, match=words):
        sql(statement())


# -- searching ----------------------------------------------------------------------------------


def test_a_search_asks_for_any_of_the_digests():
    statement = sql(select(doc.c.id).where(doc.c.c == "x"))
    assert statement.endswith("WHERE doc.c_index = ANY (%(param_1)s)")


def test_the_sql_of_a_search_depends_on_neither_value_nor_number_of_values():
    assert sql(select(doc.c.id).where(doc.c.c.in_(["x"]))) == sql(
        select(doc.c.id).where(doc.c.c.in_(["y", "z"]))
    )


def test_a_searched_column_brings_its_index_value_to_be_verified():
    statement = sql(select(doc.c.c).where(doc.c.c == "x"))
    assert "'\\xc1'::bytea) || coalesce(doc.c_index, '\\x'::bytea)) || doc.c" in statement
    assert "c_index" not in sql(select(doc.c.c))


def test_an_inner_search_is_verified_by_looking_the_index_value_up():
    inner = select(doc.c.id, doc.c.c).where(doc.c.c == "x").limit(1).subquery("q")
    statement = sql(select(inner.c.c))
    assert "(SELECT doc_1.c_index FROM doc AS doc_1 WHERE doc_1.id = q.id)" in statement


def test_a_search_can_go_through_a_subquery_that_selects_the_index_column():
    inner = select(doc.c.id, doc.c.c, doc.c.c_index).subquery("q")
    assert "WHERE q.c_index = ANY" in sql(select(inner.c.c).where(inner.c.c == "x"))
    hidden = select(doc.c.id, doc.c.c).subquery("q")
    with pytest.raises(StatementRefused, match="select its index column"):
        _ = hidden.c.c == "x"


# -- dialects -----------------------------------------------------------------------------------


def test_sqlite_calls_a_python_function():
    statement = sql(select(doc.c.a), sqlite.dialect())
    assert statement == "SELECT vaultdb_bind_row('1', doc.a, doc.id) AS a FROM doc"


def test_str_shows_something():
    assert "doc.a" in str(select(doc.c.a).where(doc.c.c == "x"))


def test_other_databases_are_refused():
    with pytest.raises(StatementRefused, match="not on mysql"):
        sql(select(doc.c.a), mysql.dialect())
    with pytest.raises(StatementRefused, match="not on mysql"):
        sql(select(doc.c.id).where(doc.c.c == "x"), mysql.dialect())


def test_schema_translation_leaves_the_function_and_the_domain_alone():
    schemas = {None: "branch", "vaultdb": "elsewhere"}
    compiled = (
        select(doc.c.a)
        .order_by(doc.c.id)
        .compile(dialect=postgresql.dialect(), schema_translate_map=schemas)
    )
    assert "vaultdb.bind_row" in str(compiled)
    assert "doc.a" in str(compiled)
