"""Leased logins through PgBouncer in transaction mode."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, text

import vaultdb
from tests.fixtures.leasing import Leasing
from tests.integration.leases.conftest import NEVER_LONG, SHORT
from tests.integration.leases.pooler import pgbouncer, program
from vaultdb.db.connect import TransportWarning

pytestmark = [
    pytest.mark.skipif(program() is None, reason="pgbouncer is not installed (apt install it)"),
    pytest.mark.filterwarnings("ignore::vaultdb.db.connect.TransportWarning"),
]


@pytest.fixture
def pooled(leasing: Leasing, server_folder: Path) -> Iterator[dict[str, Any]]:
    """Settings that lead through a pooler."""
    folder = server_folder / f"pgbouncer-{secrets.token_hex(4)}"
    with pgbouncer(leasing.database, folder) as port:
        url = leasing.url.replace(f":{leasing.database.postgres.port}/", f":{port}/")
        yield {"url": url, "pooler": "pgbouncer"}


def test_logins_change_behind_a_pooler_and_no_transaction_notices(
    leasing: Leasing, leased: Any, pooled: dict[str, Any]
) -> None:
    leasing.creds_role("app-rw", **SHORT)
    subject = leased(database=pooled | NEVER_LONG)
    users = set()
    end = time.monotonic() + 20
    while len(users) < 2 and time.monotonic() < end:
        users.add(subject.user())
        time.sleep(0.02)
    assert len(users) == 2
    assert subject.counters.forced == 0


def test_revoked_logins_are_replaced_behind_a_pooler(
    leasing: Leasing, leased: Any, pooled: dict[str, Any]
) -> None:
    subject = leased(database=pooled, poolclass=NullPool)
    first = subject.user()
    leasing.revoke_all()
    assert subject.user() != first
    assert subject.counters.forced == 1
    with leasing.database.connect() as connection:
        found = connection.execute("SELECT FROM pg_stat_activity WHERE usename = %s", [first])
        assert found.rowcount == 0, "the pooler's own sessions end, too"


@pytest.mark.asyncio
async def test_an_async_engine_works_behind_a_pooler(
    leasing: Leasing, pooled: dict[str, Any]
) -> None:
    engine = vaultdb.create_async_engine(settings=leasing.settings(database=pooled))
    for _ in range(3):
        async with engine.connect() as connection:
            user = await connection.scalar(text("SELECT session_user::text"))
        assert user.startswith("v_vaultdb_app_rw_")
    await engine.dispose()


def test_what_a_pooler_cannot_do_is_said(leasing: Leasing, pooled: dict[str, Any]) -> None:
    with pytest.warns(TransportWarning, match="database.pooler is pgbouncer"):
        vaultdb.create_engine(settings=leasing.settings(database=pooled))
