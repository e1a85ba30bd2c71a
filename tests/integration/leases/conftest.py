"""Fixtures: engines with leased logins, disposed of at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.fixtures.leasing import Leasing
from vaultdb.db.connect import new_engine
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.login.leased import LeaseCounters
from vaultdb.settings import Settings

SHORT = {"ttl": "2s", "max_ttl": "4s"}
NEVER_LONG = {"lease_overlap": 1.0}


class Leased:
    """An engine, and what happened to its leases."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.credentials = Credentials(settings)
        options = {"poolclass": None} | options
        self.engine: Engine = new_engine(settings, credentials=self.credentials, **options)

    @property
    def counters(self) -> LeaseCounters:
        login: Any = self.credentials.login
        return login.counters

    def user(self) -> str:
        """Return the login of a connection of the pool."""
        return user_of(self.engine)

    def close(self) -> None:
        self.engine.dispose()
        self.credentials.close()


def user_of(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(text("SELECT session_user::text")))


def admin_login(leasing: Leasing) -> dict[str, Any]:
    token = leasing.openbao.admin_token
    return {"auth": "token", "token": token, "role_id": None, "secret_id": None}


@pytest.fixture
def leasing(shared_leasing: Leasing) -> Iterator[Leasing]:
    """The module's, without a lease and with the role as it was."""
    yield shared_leasing
    shared_leasing.creds_role("app-rw")
    shared_leasing.revoke_all()


@pytest.fixture
def leased(leasing: Leasing) -> Iterator[Callable[..., Leased]]:
    """Make engines of the app's leases; `database` and `vault` change single settings."""
    made: list[Leased] = []

    def make(
        role: str = "app", *, database: Any = None, vault: Any = None, **options: Any
    ) -> Leased:
        settings = leasing.settings(role, database=database, vault=vault)
        made.append(Leased(settings, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
