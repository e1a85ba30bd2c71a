"""Every kind of drift that is known, injected one by one and rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from tests.integration.roles.conftest import METADATA, Place
from vaultdb.roles.apply import apply
from vaultdb.roles.verify import verify


@dataclass(frozen=True)
class Injected:
    """A statement that harms, what the report must say, and whether apply repairs it."""

    statement: str
    says: str
    repaired: bool = True


def _on_tables() -> dict[str, Injected]:
    return {
        "table grant": Injected(
            "GRANT DELETE ON clinic.visit TO {rw}", "{rw} has DELETE on table clinic.visit"
        ),
        "grant on vaultdb's own table": Injected(
            "GRANT DELETE ON vaultdb.data_key TO {rw}", "{rw} has DELETE on table vaultdb.data_key"
        ),
        "truncate": Injected(
            "GRANT TRUNCATE ON clinic.patient TO {rw}", "it empties the table past row-level"
        ),
        "column revoked": Injected(
            "REVOKE SELECT (id) ON clinic.visit FROM {ro}", "{ro} lacks SELECT on column"
        ),
        "column grant": Injected(
            "GRANT SELECT (ssn) ON clinic.patient TO {ro}",
            "{ro} has SELECT on column clinic.patient.ssn: it reads what nobody declared",
        ),
        "grant to PUBLIC": Injected(
            "GRANT UPDATE ON vaultdb_audit.operation TO PUBLIC",
            "everybody (PUBLIC) has UPDATE on table vaultdb_audit.operation",
        ),
        "grant to a stranger": Injected(
            "GRANT SELECT ON clinic.patient TO {p}intern",
            "{p}intern has SELECT on table clinic.patient",
        ),
        "grant option": Injected(
            "GRANT SELECT ON vaultdb.data_key TO {ro} WITH GRANT OPTION",
            "{ro} has SELECT on table vaultdb.data_key, and may pass it on to anybody",
        ),
        "row-level security off": Injected(
            "ALTER TABLE clinic.patient DISABLE ROW LEVEL SECURITY",
            "row-level security of clinic.patient is off",
        ),
        "row-level security not forced": Injected(
            "ALTER TABLE clinic.patient NO FORCE ROW LEVEL SECURITY",
            "row-level security of clinic.patient is not forced",
        ),
        "policy rewritten": Injected(
            "ALTER POLICY {policy} ON clinic.patient USING (true)",
            "policy clinic.patient.{policy} is not as declared",
        ),
        "policy dropped": Injected(
            "DROP POLICY {policy} ON clinic.patient", "policy clinic.patient.{policy} is missing"
        ),
        "permissive policy": Injected(
            "CREATE POLICY p2 ON clinic.patient USING (true)",
            "policy clinic.patient.p2 is not declared: a permissive policy shows rows",
        ),
        "owner changed": Injected(
            "ALTER TABLE clinic.visit OWNER TO {p}app",
            "table clinic.visit belongs to {p}app instead of {owner}",
        ),
        "rogue table": Injected(
            "CREATE TABLE clinic.rogue (i int)",
            "table clinic.rogue belongs to vaultdb_admin and is in no model",
            repaired=False,
        ),
        "view of the definer": Injected(
            "CREATE VIEW clinic.v AS SELECT * FROM clinic.patient",
            "view clinic.v reads with the rights of vaultdb_admin",
            repaired=False,
        ),
        "rule": Injected(
            "CREATE RULE r AS ON DELETE TO clinic.visit DO INSTEAD NOTHING",
            "rule clinic.visit.r rewrites statements",
            repaired=False,
        ),
        "publication": Injected(
            "CREATE PUBLICATION pub FOR TABLE clinic.patient",
            "publication pub sends clinic.patient to subscribers",
            repaired=False,
        ),
        "publication of everything": Injected(
            "CREATE PUBLICATION pub FOR ALL TABLES", "publication pub sends", repaired=False
        ),
    }


def _on_roles() -> dict[str, Injected]:
    return {
        "bypassrls": Injected(
            "ALTER ROLE {p}app BYPASSRLS", "BYPASSRLS: row-level security does not hold for it"
        ),
        "createrole": Injected("ALTER ROLE {p}app CREATEROLE", "role {p}app has CREATEROLE"),
        "superuser": Injected(
            "ALTER ROLE {p}app SUPERUSER", "role {p}app has SUPERUSER: no privilege holds"
        ),
        "capability that logs in": Injected("ALTER ROLE {rw} LOGIN", "role {rw} has LOGIN"),
        "no connection limit": Injected(
            "ALTER ROLE {p}app CONNECTION LIMIT -1", "role {p}app has no connection limit"
        ),
        "member of the owner": Injected(
            "GRANT {owner} TO {p}app", "{p}app is a member of {owner}: it may do whatever"
        ),
        "member of the owner by admin": Injected(
            "GRANT {rw} TO {p}app WITH ADMIN OPTION", "{p}app may make anybody a member of {rw}"
        ),
        "predefined role": Injected(
            "GRANT pg_read_all_data TO {p}app", "{p}app is a member of pg_read_all_data"
        ),
        "membership revoked": Injected("REVOKE {rw} FROM {p}app", "{p}app is not a member of {rw}"),
        "stranger as a member": Injected(
            "GRANT {rw} TO {p}intern", "{p}intern is a member of {rw}", repaired=False
        ),
        "stranger as a member of the owner": Injected(
            "GRANT {owner} TO {p}intern", "{p}intern is a member of {owner}"
        ),
        "a tenant for whoever names none": Injected(
            "ALTER ROLE {p}app IN DATABASE {db} SET vaultdb.tenant = 'another'",
            "setting vaultdb.tenant of {p}app is another",
        ),
        "literals with backslashes": Injected(
            "ALTER DATABASE {db} SET standard_conforming_strings = off",
            "setting standard_conforming_strings of every session is off",
        ),
        "a library for every session": Injected(
            "ALTER ROLE {p}app SET session_preload_libraries = 'auto_explain'",
            "setting session_preload_libraries of {p}app is auto_explain",
        ),
        "schema of vault's functions": Injected(
            "CREATE SCHEMA {p}admin AUTHORIZATION {p}owner",
            "schema {p}admin belongs to {p}owner",
            repaired=False,
        ),
        "setting of a login": Injected(
            "ALTER ROLE {p}app IN DATABASE {db} SET search_path = public, clinic",
            "setting search_path of {p}app is public, clinic: without pg_temp at its end",
        ),
        "role at login": Injected(
            "ALTER ROLE {p}migrator IN DATABASE {db} RESET role",
            "setting role of {p}migrator is not set",
        ),
        "parameter": Injected(
            "GRANT SET ON PARAMETER session_replication_role TO {p}app",
            "{p}app has SET on parameter session_replication_role",
        ),
    }


def _on_the_database() -> dict[str, Injected]:
    return {
        "audit trigger disabled": Injected(
            "ALTER TABLE vaultdb_audit.operation DISABLE TRIGGER refuse_change",
            "trigger vaultdb_audit.operation.refuse_change is disabled",
        ),
        "audit trigger dropped": Injected(
            "DROP TRIGGER refuse_truncate ON vaultdb_audit.operation",
            "trigger vaultdb_audit.operation.refuse_truncate is missing",
        ),
        "guard of key states disabled": Injected(
            "ALTER TABLE vaultdb.data_key DISABLE TRIGGER keep_restrictions",
            "trigger vaultdb.data_key.keep_restrictions is disabled",
        ),
        "guard of key states gone": Injected(
            "DROP FUNCTION vaultdb.keep_restrictions() CASCADE",
            "trigger vaultdb.data_key.keep_restrictions is missing",
        ),
        "trigger of a definer": Injected(
            "CREATE FUNCTION clinic.spy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            " SET search_path = clinic, pg_temp AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER spy BEFORE INSERT ON clinic.visit FOR EACH ROW"
            " EXECUTE FUNCTION clinic.spy()",
            "trigger clinic.visit.spy runs with the rights of vaultdb_admin",
            repaired=False,
        ),
        "default privileges of a schema": Injected(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA clinic"
            " GRANT TRUNCATE ON TABLES TO {rw}",
            "tables that {owner} makes in future in schema clinic are open to {rw} (TRUNCATE)",
        ),
        "default privileges of everybody": Injected(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
            "functions that {owner} makes in future are open to everybody (PUBLIC) (EXECUTE)",
        ),
        "definer without a path": Injected(
            "CREATE FUNCTION clinic.bad() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            "function clinic.bad() runs with the rights of vaultdb_admin and has no search_path",
            repaired=False,
        ),
        "source of bind_row": Injected(
            "CREATE OR REPLACE FUNCTION vaultdb.bind_row(row_binding bytea, envelope bytea)"
            " RETURNS bytea LANGUAGE plpgsql STRICT AS 'BEGIN RETURN envelope; END'",
            "function vaultdb.bind_row(bytea,bytea) is not as vaultdb made it",
        ),
        "unknown function": Injected(
            "CREATE FUNCTION vaultdb.bind_row(text, bytea) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function vaultdb.bind_row(text,bytea) is none of vaultdb's",
            repaired=False,
        ),
        "create on a schema": Injected(
            "GRANT CREATE ON SCHEMA clinic TO {rw}", "{rw} has CREATE on schema clinic"
        ),
        "public schema": Injected(
            "GRANT CREATE ON SCHEMA public TO PUBLIC",
            "everybody (PUBLIC) has CREATE on schema public: what it creates stands where",
        ),
        "temporary tables": Injected(
            "GRANT TEMPORARY ON DATABASE {db} TO PUBLIC",
            "everybody (PUBLIC) has TEMPORARY on database {db}",
        ),
        "setting of the database": Injected(
            "ALTER DATABASE {db} SET statement_timeout = 0",
            "setting statement_timeout of every session is 0",
        ),
        "large objects": Injected(
            "GRANT EXECUTE ON FUNCTION lo_create(oid) TO PUBLIC",
            "everybody (PUBLIC) may make large objects",
        ),
        "function of the server": Injected(
            "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO {rw}",
            "{rw} has EXECUTE on function pg_catalog.pg_read_file(text)",
        ),
        "table of the server": Injected(
            "GRANT SELECT ON pg_catalog.pg_authid TO {rw}",
            "{rw} has SELECT on table pg_catalog.pg_authid",
        ),
        "column of the server": Injected(
            "GRANT SELECT (rolpassword) ON pg_catalog.pg_authid TO {ro}",
            "{ro} has SELECT on column pg_catalog.pg_authid.rolpassword",
        ),
        "log_statement": Injected(
            "SET LOCAL log_statement = 'all'",
            "the server has log_statement = all: values in statements are written",
            repaired=False,
        ),
    }


DRIFTS = _on_tables() | _on_roles() | _on_the_database()


@pytest.fixture(scope="module")
def engine(standing: Place):
    engine = standing.engine()
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine):
    with engine.connect() as connection:
        yield connection
        connection.rollback()


def test_a_database_that_was_applied_is_clean(standing: Place, connection: Connection):
    found = verify(connection, METADATA, standing.names)
    assert found.drifts == ()
    assert found.facts > 100


def words_of(standing: Place) -> dict[str, str]:
    return {
        "p": standing.names.prefix,
        "db": standing.database.name,
        "policy": "vaultdb_rows",
        **{role: getattr(standing.names, role) for role in ("owner", "rw", "ro")},
    }


def inject(connection: Connection, injected: Injected, words: dict[str, str]) -> None:
    for statement in injected.statement.split(";C"):
        whole = statement if statement.startswith(injected.statement[:9]) else f"C{statement}"
        connection.exec_driver_sql(whole.format(**words))


@pytest.mark.parametrize("name", DRIFTS)
def test_each_drift_is_found_and_named_and_ends(standing: Place, connection: Connection, name: str):
    injected, words = DRIFTS[name], words_of(standing)
    inject(connection, injected, words)
    drifts = verify(connection, METADATA, standing.names).drifts
    named = [drift for drift in drifts if injected.says.format(**words) in drift.problem]
    assert named, [drift.problem for drift in drifts]
    assert {drift.is_repaired for drift in named} == {injected.repaired}
    if injected.repaired:
        assert not apply(connection, METADATA, standing.names).left
    else:
        for remedy in dict.fromkeys(drift.remedy for drift in drifts):
            if not remedy.startswith("ALTER SYSTEM"):
                connection.exec_driver_sql(remedy)
        if name == "log_statement":
            connection.exec_driver_sql("SET LOCAL log_statement = 'none'")
    assert verify(connection, METADATA, standing.names).drifts == ()


@pytest.mark.parametrize("seed", range(3))
def test_many_drifts_at_once_end_with_one_apply_and_the_next_changes_nothing(
    standing: Place, connection: Connection, seed: int
):
    repaired = [injected for injected in DRIFTS.values() if injected.repaired]
    chosen = Random(seed).sample(repaired, 8)
    for injected in chosen:
        try:
            with connection.begin_nested():
                inject(connection, injected, words_of(standing))
        except ProgrammingError:
            continue  # the policy that it rewrites is already gone
    assert len(verify(connection, METADATA, standing.names).drifts) >= 5
    assert not apply(connection, METADATA, standing.names).left
    assert verify(connection, METADATA, standing.names).drifts == ()
    assert apply(connection, METADATA, standing.names).statements == ()
