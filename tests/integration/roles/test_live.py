from __future__ import annotations

import pytest
from sqlalchemy import Connection, create_engine, text

from tests.fixtures.postgres import Database
from vaultdb.db.quoting import quote_name
from vaultdb.db.role_names import RoleNames
from vaultdb.roles.fact import PUBLIC, Fact
from vaultdb.roles.live import live_facts

NAMES = RoleNames()


def _facts(connection: Connection, *schemas: str) -> frozenset[Fact]:
    return live_facts(connection, schemas or ("vaultdb", "public"), NAMES)


@pytest.fixture
def admin(any_database: Database):
    engine = create_engine(any_database.admin_url.replace("postgresql", "postgresql+psycopg", 1))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_grants_of_tables_and_columns_are_facts_with_quoted_names(admin):
    admin.execute(text('CREATE TABLE "Odd table" (id int, "select" int)'))
    admin.execute(text('GRANT SELECT ("select"), UPDATE (id) ON "Odd table" TO vaultdb_ro'))
    admin.execute(text('GRANT DELETE ON "Odd table" TO PUBLIC'))
    admin.execute(text('GRANT INSERT ON "Odd table" TO vaultdb_rw WITH GRANT OPTION'))
    found = _facts(admin)
    table = 'public."Odd table"'
    assert Fact("grant", "column", f'{table}."select"', "vaultdb_ro", "SELECT") in found
    assert Fact("grant", "column", f"{table}.id", "vaultdb_ro", "UPDATE") in found
    assert Fact("grant", "table", table, PUBLIC, "DELETE") in found
    assert Fact("grant", "table", table, "vaultdb_rw", "INSERT", "GRANT OPTION") in found


def test_a_role_named_public_is_not_everybody(admin):
    admin.execute(text('CREATE ROLE "PUBLIC"'))
    admin.execute(text('CREATE TABLE t (id int); GRANT SELECT ON t TO "PUBLIC"'))
    assert Fact("grant", "table", "public.t", '"PUBLIC"', "SELECT") in _facts(admin)


def test_policies_print_the_same_whatever_the_search_path(admin):
    admin.execute(text("CREATE TABLE t (tenant uuid); CREATE SCHEMA elsewhere"))
    admin.execute(text("CREATE FUNCTION f() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'"))
    admin.execute(text("CREATE POLICY p ON t TO vaultdb_rw USING (tenant = (SELECT public.f()))"))
    first = _facts(admin)
    admin.execute(text("SET LOCAL search_path = elsewhere"))
    assert _facts(admin) == first
    assert admin.scalar(text("SHOW search_path")) == "elsewhere"
    (policy,) = (fact for fact in first if fact.fact == "policy")
    assert (policy.kind, policy.object, policy.who) == ("ALL", "public.t.p", "vaultdb_rw")
    assert "public.f()" in policy.value


def test_row_security_is_a_fact_only_where_it_is_on(admin):
    admin.execute(text("CREATE TABLE t (id int)"))
    assert not {fact for fact in _facts(admin) if fact.fact == "rls"}
    admin.execute(text("ALTER TABLE t ENABLE ROW LEVEL SECURITY"))
    assert Fact("rls", "table", "public.t", "", "enabled") in _facts(admin)
    admin.execute(text("ALTER TABLE t FORCE ROW LEVEL SECURITY"))
    assert Fact("rls", "table", "public.t", "", "enabled", "forced") in _facts(admin)


def test_any_login_sees_the_same_facts(any_database: Database, admin):
    engine = create_engine(any_database.sqlalchemy_url)
    with engine.connect() as connection:
        seen = _facts(connection)
    engine.dispose()
    assert seen == _facts(admin)


def test_what_an_extension_brought_is_not_looked_at(admin):
    available = "SELECT FROM pg_available_extensions WHERE name = 'plpgsql'"
    if admin.execute(text(available)).first() is None:
        pytest.skip("this server ships no extension")
    admin.execute(text("CREATE FUNCTION public.theirs() RETURNS int LANGUAGE sql AS 'SELECT 1'"))
    assert Fact("grant", "function", "public.theirs()", PUBLIC, "EXECUTE") in _facts(admin)
    admin.execute(text("ALTER EXTENSION plpgsql ADD FUNCTION public.theirs()"))
    assert not {fact for fact in _facts(admin) if fact.object == "public.theirs()"}


def test_names_are_quoted_as_the_server_does(admin):
    words = {"patient", "select", "json", "name", "Größe", "größe", 'a"b', "a.b", "1x", "$x", "x$"}
    words |= set(admin.scalars(text("SELECT word FROM pg_get_keywords()")))
    printed = admin.execute(
        text("SELECT word, quote_ident(word) FROM unnest(CAST(:words AS text[])) word"),
        {"words": sorted(words)},
    )
    newer = {"system_user"}
    for word, quoted in printed:
        is_newer = word.startswith(("json", "merge_action")) or word in newer
        assert quote_name(word) in {quoted, f'"{word}"' if is_newer else quoted}


def test_a_word_that_only_newer_versions_reserve_prints_alike(admin):
    admin.execute(text('CREATE TABLE t ("json" int); GRANT SELECT ("json") ON t TO vaultdb_ro'))
    assert Fact("grant", "column", 'public.t."json"', "vaultdb_ro", "SELECT") in _facts(admin)
