"""The application's, the migrator's, the rotator's and the officer's logins, each stolen alone."""

from __future__ import annotations

import psycopg
import pytest

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.threats.conftest import ADA, VALUES
from vaultdb.errors import DevStackError, VaultDBError
from vaultdb.vault.factory import new_client
from vaultdb.vault.providers.vault import VaultProvider

DENIED = psycopg.errors.InsufficientPrivilege


def denied(database: Database, user: str, *statements: str) -> None:
    for statement in statements:
        with database.connect(user) as connection, pytest.raises(DENIED):
            connection.execute(statement)


def rows(database: Database, user: str) -> str:
    with database.connect(user) as connection:
        return repr(connection.execute("SELECT * FROM patient").fetchall())


def test_the_application_sees_ciphertext_past_vaultdb(clinic, database):
    shown = rows(database, "vaultdb_app")
    assert not any(v in shown or v.encode().hex() in shown for v in VALUES)


def test_the_application_has_no_ddl(clinic, database):
    denied(
        database,
        "vaultdb_app",
        "CREATE TABLE mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE patient ADD COLUMN x int",
        "DROP TABLE patient",
        "TRUNCATE patient",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE OR REPLACE FUNCTION vaultdb.bind_row(bytea, bytea) RETURNS bytea "
        "LANGUAGE sql AS 'SELECT $2'",
        "ALTER DOMAIN vaultdb.envelope DROP CONSTRAINT envelope_check",
        "CREATE TRIGGER t AFTER INSERT ON patient EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    )


def test_the_application_cannot_change_the_key_table(clinic, database):
    denied(
        database,
        "vaultdb_app",
        "UPDATE vaultdb.data_key SET state = 'active'",
        "DELETE FROM vaultdb.data_key",
        "TRUNCATE vaultdb.data_key",
        "INSERT INTO vaultdb.data_key DEFAULT VALUES",
    )


@pytest.mark.parametrize("user", ["vaultdb_app", "vaultdb_key_rotator", "vaultdb_key_officer"])
def test_no_login_becomes_another(clinic, database, user):
    denied(
        database,
        user,
        "SET ROLE vaultdb_owner",
        "SET ROLE vaultdb_migrator",
        "GRANT vaultdb_owner TO CURRENT_USER",
        "COPY patient TO PROGRAM 'cat'",
        "SELECT pg_read_file('postgresql.conf')",
        "ALTER SYSTEM SET log_statement = 'all'",
    )


def test_the_migrator_owns_tables_and_has_no_key(clinic, database, providers):
    shown = rows(database, "vaultdb_migrator")
    assert "xf6" in shown
    assert not any(v in shown for v in VALUES)
    _, wrapped, _ = providers["officer"].create(b"context")
    migrator = providers["migrator"]
    for forbidden in (
        lambda: migrator.unwrap([(wrapped, b"context")]),
        lambda: migrator.rewrap([(wrapped, b"context")]),
        lambda: migrator.create(b"context"),
        migrator.rotate,
        migrator.latest_version,
    ):
        with pytest.raises(VaultDBError):
            forbidden()


@pytest.mark.parametrize("user", ["vaultdb_key_rotator", "vaultdb_key_officer"])
def test_those_who_hold_keys_do_not_see_the_tables(clinic, database, user):
    denied(database, user, "SELECT * FROM patient", "UPDATE patient SET name = NULL")


def test_the_rotator_may_change_nothing_but_the_wrapping_and_take_rights_away(clinic, database):
    denied(
        database,
        "vaultdb_key_rotator",
        "UPDATE vaultdb.data_key SET version = 9",
        "UPDATE vaultdb.data_key SET key_id = decode(md5('x'), 'hex')",
        "UPDATE vaultdb.data_key SET tenant = 'other'",
        "DELETE FROM vaultdb.data_key",
    )


# -- in Vault ---------------------------------------------------------------------------------


@pytest.fixture
def providers(openbao: OpenBao):
    made = {
        role: VaultProvider(
            new_client(openbao.settings(role)), mount=openbao.transit_mount, kek=openbao.kek
        )
        for role in ("app", "officer", "rotator", "reencryptor", "migrator")
    }
    yield made
    for provider in made.values():
        provider.close()


def test_the_rotator_never_sees_a_dek(providers):
    dek, wrapped, _ = providers["officer"].create(b"context")
    rotator = providers["rotator"]
    (moved,) = rotator.rewrap([(wrapped, b"context")])
    assert dek not in repr(moved).encode()
    with pytest.raises(VaultDBError):
        rotator.unwrap([(wrapped, b"context")])
    with pytest.raises(VaultDBError):
        rotator.create(b"context")


def test_the_application_cannot_make_move_or_change_keys(providers):
    _, wrapped, _ = providers["officer"].create(b"context")
    app = providers["app"]
    for forbidden in (
        lambda: app.create(b"context"),
        lambda: app.rewrap([(wrapped, b"context")]),
        app.rotate,
    ):
        with pytest.raises(VaultDBError):
            forbidden()


def test_the_officer_sees_the_dek_it_makes_and_no_other(providers):
    """Said in the threat table: with a dump it reads everything. It cannot open others' keys."""
    dek, wrapped, _ = providers["officer"].create(b"context")
    assert len(dek) == 32
    with pytest.raises(VaultDBError):
        providers["officer"].unwrap([(wrapped, b"context")])


@pytest.mark.parametrize("role", ["app", "officer", "rotator", "reencryptor"])
@pytest.mark.parametrize(
    "path",
    [
        "{mount}/export/encryption-key/{kek}",
        "{mount}/backup/{kek}",
        "{mount}/keys/another",
        "sys/policies/acl/app",
        "sys/audit",
        "auth/approle/role/officer/secret-id",
    ],
)
def test_nobody_reaches_more_in_vault(openbao: OpenBao, role, path):
    approle = openbao.approle(role)
    api = openbao.server.admin()
    api = type(api)(api.address, api.authority).login_approle(approle.role_id, approle.secret_id)
    path = path.format(mount=openbao.transit_mount, kek=openbao.kek)
    with pytest.raises(DevStackError, match=r"403|permission denied"):
        api.read(path)


def test_app_login_and_app_token_together_decrypt(clinic, database):
    """Not stopped: whoever holds both is the application, until the token is revoked."""
    from tests.threats.conftest import patient, read

    assert read(clinic, patient.c.name) == ADA["name"]
