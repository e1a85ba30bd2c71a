"""Fixtures: a Vault in trouble, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.vault.fake_vault import SECRET_ID, FakeVault, fake_vault
from vaultdb.dev.certificates import Certificates
from vaultdb.vault.client import VaultClient
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.login import AppRoleLogin

NewClient = Callable[..., VaultClient]


@pytest.fixture
def fake(certificates: Certificates) -> Iterator[FakeVault]:
    with fake_vault(certificates) as server:
        yield server


@pytest.fixture
def new_client(fake: FakeVault, certificates: Certificates) -> Iterator[NewClient]:
    """Make clients of the fake; closed after the test."""
    made: list[VaultClient] = []

    def make(*, method: Any = None, timeout: float = 2.0, **options: Any) -> VaultClient:
        endpoint = Endpoint(fake.addr, certificates.authority, timeout=timeout)
        login = method or AppRoleLogin("role-id", lambda: SECRET_ID)
        made.append(VaultClient(endpoint, login, **options))
        return made[-1]

    yield make
    fake.released.set()
    for client in made:
        client.close()


@pytest.fixture
def client(new_client: NewClient) -> VaultClient:
    return new_client()
