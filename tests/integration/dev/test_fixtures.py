"""The servers that all other tests stand on are what they claim to be."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, text

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database, Postgres
from vaultdb.dev.vault_api import VaultApi
from vaultdb.errors import DevStackError


def test_the_database_is_migrated_and_bound_to_the_test_realm(database: Database):
    with database.connect("vaultdb_app") as connection:
        found = connection.execute("SELECT realm FROM vaultdb.realm").fetchone()
    assert found == (database.realm,)


def test_connections_use_tls_and_scram(database: Database):
    with database.connect("vaultdb_app") as connection:
        tls = connection.execute(
            "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert tls == (True, "TLSv1.3")


def test_a_connection_without_tls_is_refused(database: Database):
    url = database.url.replace("sslmode=verify-full", "sslmode=disable")
    with pytest.raises(psycopg.OperationalError, match="rejects connection"):
        psycopg.connect(url.replace("&channel_binding=require", ""))


def test_the_migrator_acts_as_the_owner(database: Database):
    with database.connect("vaultdb_migrator") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("vaultdb_owner",)


def test_the_app_cannot_create_tables(database: Database):
    with (
        database.connect("vaultdb_app") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CREATE TABLE t (i int)")


def test_tables_made_with_create_all_are_open_to_the_app(database: Database):
    metadata = MetaData()
    Table("thing", metadata, Column("id", Integer, primary_key=True))
    database.create_all(metadata)
    engine = create_engine(database.sqlalchemy_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO thing DEFAULT VALUES"))
        assert connection.scalar(text("SELECT count(*) FROM thing")) == 1
    engine.dispose()


def test_every_database_is_its_own(postgres: Postgres, database: Database):
    other = postgres.create_database()
    with other.connect() as connection:
        connection.execute("CREATE TABLE only_here (i int)")
    with database.connect() as connection:
        assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
    postgres.drop_database(other.name)


def login(openbao: OpenBao, role: str) -> VaultApi:
    approle = openbao.approle(role)
    return openbao.server.api().login_approle(approle.role_id, approle.secret_id)


def test_the_kek_is_derived_and_not_exportable(openbao: OpenBao):
    key = login(openbao, "app").read("vaultdb-transit/keys/vaultdb")["data"]
    assert (key["type"], key["derived"], key["exportable"]) == ("aes256-gcm96", True, False)


def _attempt(api: VaultApi, operation: str, wrapped: str) -> bool:
    mount, kek, context = "vaultdb-transit", "vaultdb", "Y29udGV4dA=="
    calls = {
        "datakey": (f"{mount}/datakey/plaintext/{kek}", {"context": context}),
        "decrypt": (f"{mount}/decrypt/{kek}", {"context": context, "ciphertext": wrapped}),
        "rewrap": (f"{mount}/rewrap/{kek}", {"context": context, "ciphertext": wrapped}),
        "encrypt": (f"{mount}/encrypt/{kek}", {"context": context, "plaintext": "AAAA"}),
        "export": (f"{mount}/keys/{kek}/config", {"exportable": True}),
        "other key": (f"{mount}/datakey/plaintext/other", {"context": context}),
    }
    path, data = calls[operation]
    try:
        api.write(path, **data)
    except DevStackError as error:
        if " 403 " not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("app", {"decrypt"}),
        ("reencryptor", {"decrypt"}),
        ("rotator", {"rewrap"}),
        ("officer", {"datakey"}),
    ],
)
def test_each_vault_role_may_do_its_work_and_nothing_else(
    openbao: OpenBao, role: str, allowed: set[str]
):
    made = openbao.admin.write("vaultdb-transit/datakey/plaintext/vaultdb", context="Y29udGV4dA==")[
        "data"
    ]["ciphertext"]
    api = login(openbao, role)
    operations = {"datakey", "decrypt", "rewrap", "encrypt", "export", "other key"}
    assert {name for name in operations if _attempt(api, name, made)} == allowed


def test_a_killed_postgres_comes_back_with_its_data(own_postgres: Postgres):
    database = own_postgres.create_database()
    with database.connect() as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS i")
    own_postgres.faults.kill()
    own_postgres.faults.start()
    with database.connect() as connection:
        assert connection.execute("SELECT i FROM kept").fetchone() == (1,)


def test_a_frozen_postgres_does_not_answer_until_it_is_thawed(own_postgres: Postgres):
    with own_postgres.faults.frozen():
        assert not own_postgres.server.ready()
    assert own_postgres.server.ready()


def test_a_killed_openbao_comes_back_with_its_keys(own_openbao: OpenBao):
    made = own_openbao.admin.write(
        "vaultdb-transit/datakey/plaintext/vaultdb", context="Y29udGV4dA=="
    )["data"]
    own_openbao.faults.kill()
    own_openbao.faults.start()
    answer = login(own_openbao, "app").write(
        "vaultdb-transit/decrypt/vaultdb", context="Y29udGV4dA==", ciphertext=made["ciphertext"]
    )
    assert answer["data"]["plaintext"] == made["plaintext"]


def test_a_frozen_openbao_does_not_answer_until_it_is_thawed(own_openbao: OpenBao):
    with own_openbao.faults.frozen():
        assert not own_openbao.server.ready()
    assert own_openbao.server.ready()
