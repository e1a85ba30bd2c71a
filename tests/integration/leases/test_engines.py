"""Engines whose logins Vault leases, on a real Vault and PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

import vaultdb
from tests.fixtures.leasing import Leasing
from tests.integration.leases.conftest import NEVER_LONG, SHORT, admin_login, user_of
from tests.integration.leases.processes import settings_file
from tests.unit.keys.support import eventually
from vaultdb.db.login import credentials as credentials_module
from vaultdb.errors import (
    KeyMissing,
    VaultDenied,
    VaultRejected,
    VaultUnavailable,
)
from vaultdb.jobs.doctor import Doctor
from vaultdb.orm.runtime import runtime_of
from vaultdb.vault.factory import new_provider


def terminate(leasing: Leasing, user: str) -> None:
    with leasing.database.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = %s",
            [user],
        )


def wait_until_gone(leasing: Leasing) -> None:
    """Wait for sessions that were told to end: of users that were dropped, so without a name."""
    query = "SELECT FROM pg_stat_activity WHERE datname = %s AND usename IS NULL"
    with leasing.database.connect() as connection:
        while connection.execute(query, [leasing.database.name]).rowcount:
            time.sleep(0.01)


@pytest.mark.parametrize("pool", [None, NullPool], ids=["QueuePool", "NullPool"])
def test_logins_change_and_no_transaction_notices(leasing: Leasing, leased: Any, pool: Any) -> None:
    leasing.creds_role("app-rw", **SHORT)
    subject = leased(database=NEVER_LONG, poolclass=pool)
    users = set()
    end = time.monotonic() + 20
    while len(users) < 2 and time.monotonic() < end:
        users.add(subject.user())
        time.sleep(0.02)
    assert len(users) == 2 == subject.counters.issued
    assert subject.counters.renewed >= 1
    assert subject.counters.forced == 0


@pytest.mark.asyncio
async def test_logins_change_under_asyncio_and_the_loop_goes_on(leasing: Leasing) -> None:
    leasing.creds_role("app-rw", **SHORT)
    engine = vaultdb.create_async_engine(settings=leasing.settings(database=NEVER_LONG))
    users, gaps = set(), []

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    end = time.monotonic() + 20
    while len(users) < 2 and time.monotonic() < end:
        async with engine.connect() as connection:
            users.add(await connection.scalar(text("SELECT session_user::text")))
        await asyncio.sleep(0.02)
    await engine.dispose()
    ticking.cancel()
    assert len(users) == 2
    assert leasing.leased_users() == []
    assert max(gaps) < 1.0


def test_a_transaction_under_way_ends_with_the_login_that_it_began_with(
    leasing: Leasing, leased: Any
) -> None:
    subject = leased(pool_size=2)
    with subject.engine.begin() as connection:
        first = connection.scalar(text("SELECT session_user::text"))
        subject.credentials.login.refused(1)
        assert subject.user() != first
        assert connection.scalar(text("SELECT session_user::text")) == first
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
    users = {subject.user() for _ in range(4)}
    assert first not in users, "its connection is retired at the next checkout"
    with leasing.database.connect() as admin:
        found = admin.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid])
        assert found.rowcount == 0


def test_a_refused_login_is_replaced(leasing: Leasing, leased: Any) -> None:
    subject = leased(poolclass=NullPool)
    first = subject.user()
    with leasing.database.connect() as connection:
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD 'x'").format(sql.Identifier(first)))
    assert subject.user() != first
    assert subject.counters.forced == 1


def test_a_user_that_may_no_longer_log_in_is_replaced(leasing: Leasing, leased: Any) -> None:
    subject = leased(poolclass=NullPool)
    first = subject.user()
    with leasing.database.connect() as connection:
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(first)))
    assert subject.user() != first


def test_a_pool_heals_after_all_leases_were_revoked(leasing: Leasing, leased: Any) -> None:
    subject = leased(pool_size=3)
    connections = [subject.engine.connect() for _ in range(3)]
    for connection in connections:
        connection.close()
    first = subject.user()
    leasing.revoke_all()
    wait_until_gone(leasing)
    assert subject.user() != first, "without an error: the idle connections were cut"
    assert subject.counters.forced == 1


def test_only_the_statement_under_way_fails_when_a_lease_is_revoked(
    leasing: Leasing, leased: Any
) -> None:
    subject = leased(pool_size=2)
    with pytest.raises(DBAPIError) as caught, subject.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        leasing.revoke_all()
        connection.execute(text("SELECT 1"))
    assert caught.value.connection_invalidated
    assert subject.user()


def test_a_pooled_connection_that_was_killed_is_replaced_without_an_error(
    leasing: Leasing, leased: Any
) -> None:
    subject = leased(pool_size=1, max_overflow=0)
    first = subject.user()
    terminate(leasing, first)
    assert subject.user() == first, "the lease is as good as before"
    assert subject.counters.issued == 1


def test_a_role_that_allows_no_more_connections_gets_no_other_login(
    leasing: Leasing, leased: Any
) -> None:
    subject = leased(poolclass=NullPool)
    user = subject.user()
    with leasing.database.connect() as connection:
        connection.execute(sql.SQL("ALTER ROLE {} CONNECTION LIMIT 1").format(sql.Identifier(user)))
    with subject.engine.connect(), pytest.raises(OperationalError, match="too many connections"):
        subject.engine.connect()
    assert subject.counters.issued == 1


def test_a_new_token_brings_a_new_lease_while_the_old_one_works(
    leasing: Leasing, leased: Any
) -> None:
    subject = leased()
    first = subject.user()
    keeper = subject.credentials.client._keeper
    keeper._log_in(instead_of=keeper._token)
    assert eventually(lambda: subject.user() != first)
    assert first in leasing.leased_users()
    assert subject.counters.forced == 0


def test_a_revoked_token_ends_the_login_and_both_are_replaced(
    leasing: Leasing, leased: Any
) -> None:
    subject = leased(poolclass=NullPool)
    first = subject.user()
    token = subject.credentials.client.call(lambda vault: vault.token)
    leasing.admin.write("auth/token/revoke", token=token)
    deadline = time.monotonic() + 5
    while first in leasing.leased_users() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert subject.user() != first


def test_engine_keyring_and_key_table_share_a_token_and_a_lease(
    leasing: Leasing, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def count(settings: Any) -> Any:
        made.append(real(settings))
        return made[-1]

    real = credentials_module.new_client
    monkeypatch.setattr(credentials_module, "new_client", count)
    monkeypatch.setattr("vaultdb.vault.factory.new_client", count)
    settings = leasing.settings()
    engine = vaultdb.create_engine(settings=settings)
    user = user_of(engine)
    with pytest.raises(KeyMissing):
        runtime_of(engine.dialect).keyring.active("", "default")
    assert leasing.leased_users() == [user]
    assert len(made) == 1
    assert made[0].counters.logins == 1
    engine.dispose()
    assert leasing.leased_users() == []
    assert made[0].counters.revocations == 1


def test_an_engine_can_be_used_after_it_was_disposed_of(leasing: Leasing) -> None:
    engine = vaultdb.create_engine(settings=leasing.settings())
    first = user_of(engine)
    engine.dispose()
    assert user_of(engine) != first
    engine.dispose()
    assert leasing.leased_users() == []


def test_an_engine_of_the_users_own_gets_leases_too(leasing: Leasing) -> None:
    settings = leasing.settings()
    arguments = {"sslmode": "verify-full", "sslrootcert": leasing.database.postgres.sslrootcert}
    url = leasing.url.replace("postgresql:", "postgresql+psycopg:")
    engine = create_engine(url, connect_args=arguments)
    vaultdb.install(engine, settings=settings)
    assert user_of(engine) == leasing.leased_users()[0]
    engine.dispose()
    assert leasing.leased_users() == []


def test_a_url_with_a_user_is_no_lease(leasing: Leasing) -> None:
    engine = vaultdb.create_engine(leasing.database.url, settings=leasing.settings())
    assert user_of(engine) == "vaultdb_app"
    engine.dispose()
    assert leasing.leased_users() == []


def test_listeners_of_the_user_still_have_their_say(leasing: Leasing) -> None:
    from sqlalchemy import event

    engine = vaultdb.create_engine(settings=leasing.settings())

    @event.listens_for(engine, "do_connect")
    def name(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["application_name"] = "mine"

    with engine.connect() as connection:
        assert connection.scalar(text("SHOW application_name")) == "mine"
    engine.dispose()


def test_a_lease_ends_with_the_process(leasing: Leasing, tmp_path: Any) -> None:
    script = (
        "import vaultdb, sqlalchemy\n"
        "engine = vaultdb.create_engine()\n"
        "with engine.connect() as c: print(c.scalar(sqlalchemy.text('SELECT session_user::text')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=settings_file(leasing, tmp_path), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("v_vaultdb_app_rw_")
    assert leasing.leased_users() == []


def test_a_command_leases_for_itself_and_gives_back(leasing: Leasing, tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from vaultdb.cli import main; main()", "keys", "list"],
        env=settings_file(leasing, tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert leasing.leased_users() == []


def test_doctor_names_the_lease_and_gives_it_back(leasing: Leasing) -> None:
    settings = leasing.settings()
    doctor = Doctor(settings, lambda: new_provider(settings))
    findings = {finding.check: finding for finding in doctor.examine()}
    assert findings["lease"].ok
    assert findings["lease"].detail.startswith("vaultdb-app-rw of vaultdb-database; ")
    assert findings["login"].detail.startswith("v_vaultdb_app_rw_")
    assert leasing.leased_users() == []


def test_an_irrevocable_lease_is_counted_and_logged_and_the_end_goes_on(
    leasing: Leasing, leased: Any, caplog: pytest.LogCaptureFixture
) -> None:
    leasing.creds_role("app-rw", revocation_statements=["SELECT 1/0"])
    subject = leased()
    user = subject.user()
    subject.close()
    assert (subject.counters.revoked, subject.counters.not_revoked) == (0, 1)
    assert f"cannot revoke the login {user}" in caplog.text
    assert "the database did not end the login" in caplog.text
    assert user in leasing.leased_users()
    leasing.creds_role("app-rw")


def test_a_vault_that_is_away_at_the_first_use_is_an_error_of_ours(leased: Any) -> None:
    subject = leased(vault={"addr": "https://127.0.0.1:9", "timeout": 1.0})
    with pytest.raises(VaultUnavailable, match=r"cannot be reached; check vault\.addr"):
        subject.user()


def test_a_policy_that_does_not_allow_the_lease_is_an_error_of_ours(
    leasing: Leasing, leased: Any
) -> None:
    subject = leased(database={"lease": "vaultdb-migrator"})
    with pytest.raises(VaultDenied, match="creds/vaultdb-migrator: vault answered 403"):
        subject.user()


def test_a_lease_role_that_does_not_exist_is_an_error_of_ours(
    leasing: Leasing, leased: Any
) -> None:
    subject = leased(database={"lease": "vaultdb-nobody"}, vault=admin_login(leasing))
    with pytest.raises(VaultRejected, match=r"there is no such role; check database\.lease"):
        subject.user()


def test_a_server_that_is_down_is_the_drivers_error(leasing: Leasing, leased: Any) -> None:
    url = leasing.url.replace(str(leasing.database.postgres.port), "9")
    subject = leased(database={"url": url})
    with pytest.raises(OperationalError, match=r"[Cc]onnection refused"):
        subject.user()
    assert subject.counters.issued == 1, "another login would not help"


def test_nothing_secret_reaches_a_log_or_an_error(
    leasing: Leasing, leased: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    subject = leased(poolclass=NullPool)
    first = subject.user()
    password = subject.credentials.login.current().password
    lease_id = subject.credentials.login._held.lease.lease_id
    leasing.creds_role("app-rw", creation_statements=["SELECT 1/0"])
    leasing.revoke_all()
    with pytest.raises(vaultdb.VaultDBError) as caught:
        subject.user()
    leasing.creds_role("app-rw")
    shown = f"{caplog.text}{caught.value!r}{caught.value}{subject.credentials!r}{subject.engine!r}"
    assert password not in shown
    assert lease_id not in shown
    assert first in caplog.text, "the name of the login is for the logs"


def test_sessions_end_with_their_lease(leasing: Leasing) -> None:
    """Not of this client, but what it relies on."""
    with psycopg.connect(leasing.url_of("app-rw")) as connection:
        leasing.revoke_all()
        with pytest.raises(psycopg.OperationalError, match="administrator command"):
            connection.execute("SELECT 1")
