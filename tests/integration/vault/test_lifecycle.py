"""Tokens that end, are taken back or lose their policy, and a Vault that is asked too often."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.integration.vault.conftest import Place
from tests.unit.keys.support import eventually
from vaultdb.errors import DevStackError, KeyDenied, VaultDenied, VaultUnavailable
from vaultdb.keys import Keyring, KeyScope, MemoryKeyStore, Purpose, create_key
from vaultdb.vault.client import VaultClient
from vaultdb.vault.login import AppRoleLogin
from vaultdb.vault.providers.vault import VaultProvider

NOTHING = 'path "elsewhere" { capabilities = ["read"] }'


def read_kek(client: VaultClient, place: Place) -> None:
    client.call(lambda vault: vault.secrets.transit.read_key("kek", mount_point=place.mount))


@pytest.fixture
def client(place: Place) -> Iterator[VaultClient]:
    role_id, new_secret_id = place.approle()
    made = place.client(AppRoleLogin(role_id, new_secret_id), timeout=10.0)
    yield made
    made.close()


def test_a_token_is_renewed_and_replaced_at_its_maximum(place: Place) -> None:
    """Two seconds to live, five at most: renewed, then replaced, and no call fails."""
    role_id, new_secret_id = place.approle(token_ttl="2s", token_max_ttl="5s")
    client = place.client(AppRoleLogin(role_id, new_secret_id))
    end = time.monotonic() + 7
    while time.monotonic() < end:
        read_kek(client, place)
        time.sleep(0.02)
    assert client.counters.renewals >= 2
    assert 2 <= client.counters.logins <= 4
    assert client.counters.lookups == 0, "no call ever met a dead token"
    client.close()


def test_a_revoked_token_is_replaced(place: Place, client: VaultClient) -> None:
    for logins in (1, 2, 3):
        read_kek(client, place)
        assert client.counters.logins == logins
        place.admin.write("auth/token/revoke", token=client._keeper.token().secret)


def test_a_removed_policy_denies_at_once_and_without_logins(
    place: Place, client: VaultClient
) -> None:
    read_kek(client, place)
    place.admin.write(f"sys/policies/acl/{place.mount}-app", policy=NOTHING)
    for _ in range(20):
        with pytest.raises(VaultDenied):
            read_kek(client, place)
    assert client.counters.logins <= 3
    place.policy("app")
    assert eventually(lambda: can_read(client, place))


def can_read(client: VaultClient, place: Place) -> bool:
    try:
        read_kek(client, place)
    except VaultDenied:
        return False
    return True


def test_a_keyring_evicts_when_its_policy_is_gone(place: Place, client: VaultClient) -> None:
    realm, store = uuid4(), MemoryKeyStore()
    scope = KeyScope("", "default", Purpose.DATA)
    create_key(place.provider("officer"), store, realm, scope, 1)
    provider = VaultProvider(client, mount=place.mount, kek="kek")
    keyring = Keyring(realm=realm, provider=provider, store=store, soft_ttl=0.2)
    key = keyring.active("", "default")
    place.admin.write(f"sys/policies/acl/{place.mount}-app", policy=NOTHING)

    def is_denied() -> bool:
        try:
            keyring.get(key.key_id)
        except KeyDenied:
            return True
        return False

    assert eventually(is_denied)
    with pytest.raises(KeyDenied):
        keyring.active("", "default")


def test_the_token_is_gone_after_the_end(place: Place, client: VaultClient) -> None:
    read_kek(client, place)
    secret = client._keeper.token().secret
    client.close()
    admin = place.admin
    with pytest.raises(DevStackError):
        admin.write("auth/token/lookup", token=secret)


def test_a_rate_limit_is_no_outage(place: Place, client: VaultClient) -> None:
    read_kek(client, place)
    quota = f"sys/quotas/rate-limit/{place.mount}"
    admin = place.admin
    admin.write(quota, path=f"{place.mount}/", rate=5, interval="1s")
    try:
        limited = 0
        for _ in range(12):
            try:
                client.call(
                    lambda vault: vault.secrets.transit.read_key("kek", mount_point=place.mount)
                )
            except VaultUnavailable:
                limited += 1
        assert limited == 0, "each call waited for its turn"
    finally:
        admin._call("DELETE", quota, None)
