"""What a leased login is, can and cannot do; what happens when one cannot be made or ended."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.fixtures.leasing import Leasing, lease_logins
from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.provision.conftest import OwnRoles, Place, drop_roles
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError, VaultError, VaultRejected
from vaultdb.provision.database_engine import set_up_leases
from vaultdb.provision.lease_roles import login_of
from vaultdb.provision.passwords import read_or_generate, write_secret
from vaultdb.provision.pki import authority
from vaultdb.provision.postgres_spec import PostgresSpec, all_logins
from vaultdb.provision.secret_ids import issue_secret_id
from vaultdb.provision.step import Progress, State
from vaultdb.provision.vault_objects import VaultObjects
from vaultdb.provision.vault_spec import CertificateSpec
from vaultdb.roles.static_logins import engine_login
from vaultdb.settings import VaultSettings
from vaultdb.vault.factory import new_client
from vaultdb.vault.lease_names import Lease
from vaultdb.vault.pki import CertificateRole
from vaultdb.vault.policies import Role

NAMES = RoleNames()


def test_each_leased_login_has_one_membership_and_no_way_to_more(leasing: Leasing) -> None:
    for lease in Lease:
        with psycopg.connect(leasing.url_of(lease), autocommit=True) as connection:
            user, groups = connection.execute(
                "SELECT session_user, ARRAY(SELECT roleid::regrole::text FROM pg_auth_members"
                " WHERE member = session_user::regrole)"
            ).fetchone() or ("", [])
            assert user.startswith(f"v_{lease.engine_role.replace('-', '_')}_")
            assert groups == [login_of(lease, NAMES).capability]
            connection.execute("SET default_transaction_read_only = off")
            for statement in (
                "CREATE ROLE x",
                "SET ROLE vaultdb_admin",
                "GRANT pg_read_all_data TO CURRENT_USER",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())


def test_leased_logins_do_their_work_and_not_each_others(leasing: Leasing) -> None:
    with psycopg.connect(leasing.url_of("migrator"), autocommit=True) as migrator:
        migrator.execute("CREATE TABLE made (id int)")
        migrator.execute("GRANT SELECT, INSERT ON made TO vaultdb_rw")
        owner = migrator.execute(
            "SELECT tableowner FROM pg_tables WHERE tablename = 'made'"
        ).fetchone()
        assert owner == ("vaultdb_owner",)
    with psycopg.connect(leasing.url_of("app-rw"), autocommit=True) as app:
        app.execute("INSERT INTO made VALUES (1)")
        for statement in ("DROP TABLE made", "CREATE TABLE more (id int)", "TRUNCATE made"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement.encode())
    with (
        psycopg.connect(leasing.url_of("app-ro")) as reader,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        reader.execute("SELECT FROM made")
    with psycopg.connect(leasing.url_of("backup"), autocommit=True) as backup:
        assert backup.execute("SELECT count(*) FROM made").fetchone() == (1,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            backup.execute("DELETE FROM made")


def test_revoking_a_lease_ends_its_sessions_and_drops_the_login(leasing: Leasing) -> None:
    with psycopg.connect(leasing.url_of("migrator"), autocommit=True) as connection:
        connection.execute("CREATE TABLE made_by_a_leased_migrator (id int)")
        leasing.revoke_all()
        with pytest.raises(psycopg.OperationalError, match="terminating connection"):
            connection.execute("SELECT 1")
    assert leasing.leased_users() == []


def test_leases_work_on_postgresql_15_and_17(openbao: OpenBao, any_database: Database) -> None:
    with lease_logins(openbao, any_database) as leasing:
        with psycopg.connect(leasing.url_of("migrator")) as connection:
            user = connection.execute("SELECT current_user").fetchone()
            assert user == ("vaultdb_owner",)
        leasing.revoke_all()
        assert leasing.leased_users() == []


@pytest.mark.parametrize("prefix", ['Odd "q" %s x\'_'])
def test_roles_whose_names_need_quoting_are_leased(place: Place, own_roles: OwnRoles) -> None:
    names, database = own_roles.names, own_roles.database
    own_roles.set_up(own_roles.spec(passwords={engine_login(names): "secret"}))
    leases = place.leases(database, names=names, password="secret")
    spec = place.spec(leases=leases, certificates=None)
    place.set_up(spec)
    assert place.differing(spec) == []
    for lease in Lease:
        answer = place.admin.read(f"db-{place.mark}/creds/{lease.engine_role}")["data"]
        conninfo = database.postgres.server.conninfo(
            database.name, user=answer["username"], password=answer["password"]
        )
        with psycopg.connect(conninfo) as connection:
            user = (connection.execute("SELECT current_user").fetchone() or ("",))[0]
            login = login_of(lease, names)
            assert user == (login.capability if login.acts_as_capability else answer["username"])
    place.admin.write(f"sys/leases/revoke-prefix/db-{place.mark}", sync=True)


@pytest.mark.parametrize("prefix", ["a;b_", "a{{b_", "a:b_", "a@b_"])
def test_names_that_vault_would_tear_apart_are_refused(
    place: Place, database: Database, prefix: str
) -> None:
    leases = place.leases(database, names=RoleNames(prefix))
    with pytest.raises(ConfigurationError, match=r"choose another database\.role_prefix"):
        place.set_up(place.spec(leases=leases))


def test_a_login_that_the_engine_may_not_make_is_explained(leasing: Leasing) -> None:
    """On 15 nothing can be missing but the role itself."""
    database = leasing.database
    lost = sql.Identifier(NAMES.auditor)
    other = sql.Identifier("vaultdb_auditor_elsewhere")
    rename = sql.SQL("ALTER ROLE {} RENAME TO {}")
    with database.connect() as connection, closing(leasing.admin.client()) as client:
        connection.execute(rename.format(lost, other))
        try:
            with pytest.raises(VaultError, match="run vaultdb provision postgres"):
                client.call(
                    lambda vault: vault.adapter.get(f"/v1/{leasing.mount}/creds/vaultdb-auditor"),
                    repeatable=False,
                )
        finally:
            connection.execute(rename.format(other, lost))


def test_a_login_that_was_granted_something_by_hand_cannot_be_dropped_and_that_is_said(
    leasing: Leasing,
) -> None:
    user, _ = leasing.credentials("app-rw")
    name = sql.Identifier(user)
    with leasing.database.connect() as connection, closing(leasing.admin.client()) as client:
        connection.execute("CREATE TABLE given (id int)")
        connection.execute(sql.SQL("GRANT SELECT ON given TO {}").format(name))
        with pytest.raises(VaultError, match="owns something, or was granted something by hand"):
            client.call(
                lambda vault: vault.adapter.post(
                    f"/v1/sys/leases/revoke-prefix/{leasing.mount}", json={"sync": True}
                ),
                repeatable=False,
            )
        connection.execute(sql.SQL("DROP OWNED BY {}").format(name))


def test_irrevocable_leases_are_counted_with_what_to_do(
    place: Place, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vault itself gives up after ten minutes only."""
    read = VaultObjects.read
    answer = {"lease_count": 3, "counts": {f"db-{place.mark}/creds/vaultdb-app-rw": 3}}

    def fake(vault: VaultObjects, path: str) -> Any:
        return answer if path.startswith("sys/leases/count") else read(vault, path)

    monkeypatch.setattr(VaultObjects, "read", fake)
    progress = Progress()
    set_up_leases(VaultObjects(place.client, progress), place.leases(database))
    step = progress.steps[-1]
    assert (step.what, step.state) == (f"3 irrevocable leases in db-{place.mark}", State.FOREIGN)
    assert "REASSIGN OWNED BY" in " ".join(step.detail)


def test_static_logins_need_no_createrole_and_get_new_passwords(
    place: Place, any_database: Database
) -> None:
    mark = f"static_{place.mark}_"
    own = OwnRoles(any_database, RoleNames(mark))
    try:
        names = own.names
        own.set_up(
            PostgresSpec(
                names,
                logins=all_logins(names),
                passwords={engine_login(names): "secret"},
                static=True,
            )
        )
        leases = place.leases(any_database, names=names, password="secret", static=True)
        spec = place.spec(leases=leases, certificates=None)
        place.set_up(spec)
        assert place.differing(spec) == []
        path = f"db-{place.mark}/static-creds/vaultdb-app-rw"
        answer = place.admin.read(path)["data"]
        assert answer["username"] == f"{mark}app"
        conninfo = any_database.postgres.server.conninfo(
            any_database.name, user=answer["username"], password=answer["password"]
        )
        psycopg.connect(conninfo).close()
        with psycopg.connect(
            any_database.postgres.server.conninfo(
                any_database.name, user=engine_login(names), password="secret"
            ),
            autocommit=True,
        ) as engine:
            call = sql.SQL("SELECT {}.set_password({}, {})")
            schema = sql.Identifier(f"{mark}admin")
            for login, verifier in (("vaultdb_admin", "SCRAM-SHA-256$x"), (f"{mark}app", "plain")):
                with pytest.raises(psycopg.Error, match="not a "):
                    engine.execute(call.format(schema, login, verifier))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                engine.execute("CREATE ROLE x")
    finally:
        drop_roles(any_database, mark)


def test_a_wrapped_secret_id_logs_in_once(openbao: OpenBao, tmp_path: Path) -> None:
    with closing(openbao.client()) as admin:
        issued = issue_secret_id(admin, Role.APP)
    path = tmp_path / "wrapped"
    write_secret(path, issued.secret_id)
    assert path.stat().st_mode & 0o777 == 0o600
    settings = VaultSettings(
        addr=openbao.addr,
        ca_cert=openbao.ca_cert,
        role_id=issued.role_id,
        wrapped_secret_id_file=path,
    )
    with closing(new_client(settings)) as client:
        client.log_in()
    with (
        closing(new_client(settings)) as late,
        pytest.raises(VaultError, match="was opened before"),
    ):
        late.log_in()
    assert issued.secret_id not in repr(issued)


def test_certificates_are_signed_for_the_roles_own_names_only(place: Place) -> None:
    place.set_up(place.spec())
    role = CertificateRole(place.client, f"pki-{place.mark}", "vaultdb-app")
    for name in ("vaultdb_app", "vaultdb-app"):
        assert role.issue(name).lifetime > 3000
    for name in ("vaultdb_migrator", "x.vaultdb_app", "vaultdb_appx", "*"):
        with pytest.raises(VaultRejected):
            role.issue(name)
    found = authority(VaultObjects(place.client, Progress()), f"pki-{place.mark}")
    assert found.startswith("-----BEGIN CERTIFICATE-----")


def test_an_intermediate_authority_is_signed_by_another(place: Place) -> None:
    place.set_up(place.spec())  # stands for the authority of the house
    house = f"pki-{place.mark}"
    asked = CertificateSpec(mount=f"{house}-i", intermediate=True)
    request = place.set_up(place.spec(certificates=asked)).certificate_request
    assert request is not None
    signed = place.admin.write(
        f"{house}/root/sign-intermediate", csr=request, format="pem_bundle", ttl="1000h"
    )["data"]["certificate"]
    given = CertificateSpec(mount=f"{house}-i", intermediate=True, signed=signed)
    place.set_up(place.spec(certificates=given))
    assert place.differing(place.spec(certificates=asked)) == []
    assert CertificateRole(place.client, f"{house}-i", "vaultdb-app").issue("vaultdb_app")


def test_generated_passwords_are_kept_private_and_used_again(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    made = read_or_generate(folder, ["a/b"], generate=True)
    (file,) = folder.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("a%2Fb.password", 0o600)
    assert read_or_generate(folder, ["a/b", "other"], generate=False) == made
