"""Every login tries everything on a declared table, on the keys and on the audit; real statements.

`clinic.patient` is declared with `access(PATIENT, tenant="tenant_id")`: see conftest.
"""

from __future__ import annotations

import psycopg
import pytest

from tests.integration.roles.conftest import Place
from vaultdb.roles.matrix import lines, matrix

SSN = "decode(repeat('f6', 60), 'hex')"
STATEMENTS = {
    "select all": "SELECT * FROM clinic.patient",
    "select open": "SELECT id, tenant_id, note FROM clinic.patient",
    "select ssn": "SELECT id, ssn, ssn_index FROM clinic.patient",
    "insert": "INSERT INTO clinic.patient (tenant_id, ssn, ssn_index)"
    f" VALUES ('t', {SSN}, '\\x01')",
    "insert other tenant": "INSERT INTO clinic.patient (tenant_id, ssn, ssn_index)"
    f" VALUES ('other', {SSN}, '\\x01')",
    "update note": "UPDATE clinic.patient SET note = NULL",
    "update ssn": f"UPDATE clinic.patient SET ssn = {SSN}",
    "delete": "DELETE FROM clinic.patient",
    "truncate": "TRUNCATE clinic.patient",
    "lock": "LOCK TABLE clinic.patient IN ACCESS EXCLUSIVE MODE",
    "create table": "CREATE TABLE clinic.mine (id int)",
    "create in public": "CREATE TABLE public.mine (id int)",
    "create temporary": "CREATE TEMPORARY TABLE mine (id int)",
    "create schema": "CREATE SCHEMA mine",
    "create function": "CREATE FUNCTION clinic.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "alter table": "ALTER TABLE clinic.patient ADD COLUMN x int",
    "drop policy": "DROP POLICY vaultdb_rows ON clinic.patient",
    "drop table": "DROP TABLE clinic.patient",
    # Who may not grant is only warned.
    "grant": "DO $$ BEGIN GRANT SELECT ON clinic.patient TO pg_monitor;"
    " IF NOT has_table_privilege('pg_monitor', 'clinic.patient', 'SELECT')"
    " THEN RAISE insufficient_privilege; END IF; END $$",
    "large object": "SELECT lo_create(0)",
    "read keys": "SELECT wrapped FROM vaultdb.data_key",
    "add keys": "INSERT INTO vaultdb.data_key (key_id, realm, tenant, keyset, purpose, version,"
    " kek_version, wrapped) SELECT decode(repeat('00', 16), 'hex'), realm, '', 'default', 'data',"
    " 1, 1, 'v' FROM vaultdb.realm",
    "rewrap keys": "UPDATE vaultdb.data_key SET wrapped = 'v'",
    "delete keys": "DELETE FROM vaultdb.data_key",
    "audit select": "SELECT * FROM vaultdb_audit.operation",
    "audit insert": "INSERT INTO vaultdb_audit.operation (action, object) VALUES ('a', 'b')",
    "audit forge": "INSERT INTO vaultdb_audit.operation (login, action, object)"
    " VALUES ('another', 'a', 'b')",
    "audit update": "UPDATE vaultdb_audit.operation SET login = 'another'",
    "audit delete": "DELETE FROM vaultdb_audit.operation",
    "audit truncate": "TRUNCATE vaultdb_audit.operation",
    "audit drop": "DROP SCHEMA vaultdb_audit CASCADE",
    "audit trigger": "ALTER TABLE vaultdb_audit.operation DISABLE TRIGGER USER",
}

DDL = {
    "create table",
    "create in public",
    "create schema",
    "create function",
    "alter table",
    "drop policy",
    "drop table",
    "grant",
}
MAY = {
    "app": {
        "select all",
        "select open",
        "select ssn",
        "insert",
        "update note",
        "update ssn",
        "delete",
        "lock",  # no privilege can forbid that to who may update or delete
        "read keys",
    },
    "app_read": {"select open", "read keys"},
    # Row-level security is forced: the owner sees no row, and may insert none.
    "migrator": DDL
    | {"select all", "select open", "select ssn", "update note", "update ssn", "delete"}
    | {"truncate", "lock", "read keys", "add keys", "rewrap keys", "delete keys", "audit insert"},
    "key_officer": {"read keys", "add keys"},
    "key_rotator": {"select ssn", "update ssn", "read keys", "rewrap keys", "audit insert"},
    "audit_reader": {"audit select"},
    "backup_reader": {"select all", "select open", "select ssn", "read keys", "audit select"},
}


@pytest.mark.parametrize("login", MAY)
def test_each_login_may_do_its_own_work_only(standing: Place, login: str):
    url = standing.url_for(f"{standing.names.prefix}{login}")
    allowed = set()
    with psycopg.connect(url) as connection:
        for name, statement in STATEMENTS.items():
            with connection.transaction(force_rollback=True):
                # A login that only reads is told so first; that it may switch off.
                connection.execute("SET TRANSACTION READ WRITE")
                connection.execute("SELECT set_config('vaultdb.tenant', 't', true)")
                try:
                    with connection.transaction():
                        connection.execute(statement)
                except psycopg.errors.InsufficientPrivilege:
                    continue
                allowed.add(name)
    assert allowed == MAY[login]


def test_no_login_may_take_the_role_of_another(standing: Place):
    for login in MAY:
        url = standing.url_for(f"{standing.names.prefix}{login}")
        with psycopg.connect(url, autocommit=True) as connection:
            taken = set()
            for role in standing.names.all:
                try:
                    connection.execute(f"SET ROLE {role}")
                except psycopg.errors.InsufficientPrivilege:
                    continue
                taken.add(role.removeprefix(standing.names.prefix))
        assert len(taken) == 1, (login, taken)


def test_the_printed_matrix_says_the_same(standing: Place):
    prefix = standing.names.prefix
    with standing.engine().connect() as connection:
        rights = matrix(connection, ["clinic"], standing.names)
    found = {
        who.removeprefix(prefix): may
        for table, who, may in lines(rights)
        if table == "clinic.patient" and who.startswith(prefix)
    }
    everything = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, OWNER"
    by_set_role = ", ".join(f"{word}*" for word in everything.split(", "))
    assert found == {
        "owner": everything,
        "migrator": by_set_role,
        "rw": "SELECT, INSERT, UPDATE, DELETE",
        "app": "SELECT, INSERT, UPDATE, DELETE",
        "ro": "SELECT(columns)",
        "app_read": "SELECT(columns)",
        "rotator": "SELECT(columns), UPDATE(columns)",
        "key_rotator": "SELECT(columns), UPDATE(columns)",
        "backup": "SELECT; passes row-level security",
        "backup_reader": "SELECT*; passes row-level security",
    }
