"""A real OpenBao that is sealed, frozen, killed and restarted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import trustme

from tests.fixtures.openbao import OpenBao
from tests.unit.keys.support import eventually
from vaultdb.errors import KeyUnavailable, VaultUnavailable, VaultUntrusted
from vaultdb.keys import Keyring, KeyScope, MemoryKeyStore, Purpose, create_key
from vaultdb.vault.factory import new_client
from vaultdb.vault.providers.vault import VaultProvider


def provider(bao: OpenBao, role: str = "app", timeout: float = 2.0) -> VaultProvider:
    client = new_client(bao.settings(role, timeout=timeout))
    return VaultProvider(client, mount=bao.transit_mount, kek=bao.kek)


@contextmanager
def keyrings(bao: OpenBao) -> Iterator[tuple[Keyring, Callable[[], Keyring]]]:
    """Give a warm keyring, and what makes cold ones over the same keys; closes them all."""
    realm, store = uuid4(), MemoryKeyStore()
    with ExitStack() as opened:
        officer = provider(bao, "officer", 10.0)
        opened.callback(officer.close)
        create_key(officer, store, realm, KeyScope("", "default", Purpose.DATA), 1)

        def new() -> Keyring:
            made = Keyring(realm=realm, provider=provider(bao), store=store, soft_ttl=0.2)
            opened.callback(made.close)
            return made

        warm = new()
        warm.active("", "default")
        yield warm, new


def time_of(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def assert_cold_fails(new: Callable[[], Keyring], message: str, within: float) -> None:
    cold = new()
    started = time.monotonic()
    with pytest.raises(KeyUnavailable, match=message):
        cold.active("", "default")
    assert time.monotonic() - started < within


def serves(keyring: Keyring) -> bool:
    try:
        keyring.flush()
        keyring.active("", "default")
    except KeyUnavailable:
        return False
    return True


def test_frozen_sealed_and_restarted(own_openbao: OpenBao) -> None:
    """One server's bad day: cached keys are served throughout, cold ones fail closed in time."""
    bao = own_openbao
    with keyrings(bao) as (warm, new):
        with bao.faults.frozen():
            assert_cold_fails(new, "did not answer in time", within=3.5)
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                assert time_of(lambda: warm.active("", "default")) < 0.5, (
                    "nobody waits for a refresh"
                )
        assert eventually(lambda: serves(warm), 10.0)

        bao.admin.write("sys/seal")
        assert_cold_fails(new, "sealed", within=3.5)
        time.sleep(0.3)
        assert warm.active("", "default").version == 1
        assert eventually(lambda: warm.counters.refresh_failures > 0)

        bao.faults.restart()
        assert eventually(lambda: serves(warm), 10.0), "over new connections, with the old token"

        bao.faults.kill()
        assert_cold_fails(new, "cannot be reached", within=3.5)
        assert warm.active("", "default").version == 1
        bao.faults.start()
        assert eventually(lambda: serves(warm), 10.0)


def test_the_environment_of_an_operators_shell_changes_nothing(
    openbao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stray tokens, another address and a CA bundle of nonsense, as they lie about in shells."""
    (tmp_path / ".vault-token").write_text(openbao.admin_token)
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VAULT_TOKEN", "s.stray")
    monkeypatch.setenv("VAULT_ADDR", "https://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.fspath(nonsense))
    monkeypatch.setenv("CURL_CA_BUNDLE", os.fspath(nonsense))
    client = new_client(openbao.settings("app"))
    answer = client.call(lambda vault: vault.auth.token.lookup_self())
    assert set(answer["data"]["policies"]) - {"default"} == {"vaultdb-app"}, "not the operator's"
    client.close()


def test_another_authority_is_not_trusted(openbao: OpenBao, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    with (
        closing(new_client(openbao.settings("app", ca_cert=other))) as client,
        pytest.raises(VaultUntrusted, match=r"is not trusted .*check vault\.ca_cert"),
    ):
        client.log_in()


def test_a_missing_server_gets_one_clear_line(openbao: OpenBao) -> None:
    nowhere = openbao.settings("app", addr="https://127.0.0.1:9", timeout=1.0)
    with (
        closing(new_client(nowhere)) as client,
        pytest.raises(VaultUnavailable, match=r"127\.0\.0\.1:9 cannot be reached; check"),
    ):
        client.log_in()
