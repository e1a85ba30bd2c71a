"""Fixtures: a role that leases logins, and the login that is leased from it."""

from __future__ import annotations

import pytest

from tests.unit.db.fake_role import FakeRole, NoThread
from vaultdb.db.login import leased
from vaultdb.db.login.leased import LeasedLogin


@pytest.fixture
def role() -> FakeRole:
    return FakeRole()


@pytest.fixture
def login(role: FakeRole, monkeypatch: pytest.MonkeyPatch) -> LeasedLogin:
    monkeypatch.setattr(leased, "Renewal", NoThread)
    return LeasedLogin(role, overlap=20.0)  # type: ignore[arg-type]
