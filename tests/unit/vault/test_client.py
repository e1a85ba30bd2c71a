"""The client keeps its deadline, tries again what may be tried again, and reports in our words."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import hvac
import pytest
import trustme

from tests.unit.vault.conftest import NewClient
from tests.unit.vault.fake_vault import Answer, FakeVault, errors, fake_vault, login_answer, timed
from vaultdb.dev.certificates import Certificates
from vaultdb.errors import (
    ConfigurationError,
    VaultError,
    VaultRejected,
    VaultUnavailable,
    VaultUntrusted,
)
from vaultdb.vault.client import VaultClient
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.login import AppRoleLogin, TokenLogin

ASK = "thing/ask"


def ask(vault: hvac.Client) -> Any:
    return vault.adapter.post(f"/v1/{ASK}", json={"question": 1})


def answers(*sequence: Answer) -> Any:
    """Give these answers one after the other, the last one for ever."""
    waiting = list(sequence)
    return lambda *_: waiting.pop(0) if len(waiting) > 1 else waiting[0]


OK = Answer(body={"data": {"answer": 42}})


def test_making_a_client_touches_nothing(tmp_path: Path) -> None:
    client = VaultClient(
        Endpoint("https://nowhere.invalid:1", tmp_path / "no-such-ca.pem"),
        TokenLogin(lambda: pytest.fail("the secret was read")),
    )
    client.close()


def test_it_logs_in_once_and_asks(fake: FakeVault, client: VaultClient) -> None:
    fake.script = answers(OK)
    for _ in range(3):
        assert client.call(ask)["data"]["answer"] == 42
    assert fake.count("auth/approle/login") == 1


def test_fifty_threads_log_in_once(fake: FakeVault, new_client: NewClient) -> None:
    client = new_client(timeout=20.0)
    fake.login = lambda: Answer(body=login_answer().body, delay=0.1)
    fake.script = answers(OK)
    threads = [threading.Thread(target=client.call, args=(ask,)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fake.count("auth/approle/login") == 1
    assert fake.count(ASK) == 50


@pytest.mark.parametrize("status", [500, 502, 503, 504, 412, 472, 473])
def test_a_server_error_is_tried_again(fake: FakeVault, client: VaultClient, status: int) -> None:
    fake.script = answers(errors(status, "internal error"), OK)
    assert client.call(ask)["data"]["answer"] == 42
    assert fake.count(ASK) == 2


def test_a_dropped_connection_is_tried_again(fake: FakeVault, client: VaultClient) -> None:
    fake.script = answers(Answer(hang_up=True), OK)
    assert client.call(ask)["data"]["answer"] == 42


@pytest.mark.parametrize(
    "trouble", [errors(500, "internal error"), Answer(hang_up=True), Answer(delay=5.0)]
)
def test_what_may_not_be_repeated_is_not(
    fake: FakeVault, client: VaultClient, trouble: Answer
) -> None:
    """A rotation that was answered with an error may still have happened."""
    fake.script = answers(trouble, OK)
    with pytest.raises(VaultUnavailable):
        client.call(ask, repeatable=False)
    assert fake.count(ASK) == 1


def test_a_rate_limit_is_waited_for_even_by_what_may_not_be_repeated(
    fake: FakeVault, client: VaultClient
) -> None:
    fake.script = answers(errors(429, "request path limited", Retry_After="0"), OK)
    assert client.call(ask, repeatable=False)["data"]["answer"] == 42


def test_retry_after_is_honoured(fake: FakeVault, new_client: NewClient) -> None:
    client = new_client(timeout=3.0)
    fake.script = answers(errors(429, "limited", Retry_After="1"), OK)
    assert timed(lambda: client.call(ask)) >= 0.95
    assert fake.count(ASK) == 2


def test_a_retry_after_beyond_the_deadline_fails_at_once(
    fake: FakeVault, client: VaultClient
) -> None:
    fake.script = answers(errors(429, "limited", Retry_After="10"), OK)
    assert timed(lambda: client.call(ask)) < 0.5
    with pytest.raises(VaultUnavailable, match="limits the rate"):
        client.call(ask)
    assert fake.count(ASK) == 1, "the server is left alone as it asked"


def test_rate_limits_do_not_open_the_breaker(fake: FakeVault, client: VaultClient) -> None:
    """Five in a row, and the sixth try of the same call is made."""
    fake.script = answers(*[errors(429, "limited") for _ in range(5)], OK)
    assert client.call(ask)["data"]["answer"] == 42


def test_after_three_failures_calls_fail_at_once(fake: FakeVault, client: VaultClient) -> None:
    client.log_in()
    fake.script = answers(errors(500, "internal error"))
    for _ in range(3):
        with pytest.raises(VaultUnavailable):
            client.call(ask, repeatable=False)
    asked = fake.count(ASK)
    for _ in range(20):
        with pytest.raises(VaultUnavailable, match=r"internal error; .* it is asked again"):
            client.call(ask)
    assert fake.count(ASK) == asked


def test_one_probe_a_second_finds_the_server_again(fake: FakeVault, client: VaultClient) -> None:
    client.log_in()
    fake.script = answers(*[errors(500, "internal error") for _ in range(3)], OK)
    for _ in range(3):
        with pytest.raises(VaultUnavailable):
            client.call(ask, repeatable=False)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            client.call(ask)
        except VaultUnavailable:
            time.sleep(0.05)
        else:
            break
    assert fake.count(ASK) == 4


@pytest.mark.parametrize("status", [400, 404, 405, 413])
def test_a_refusal_is_not_tried_again(fake: FakeVault, client: VaultClient, status: int) -> None:
    fake.script = answers(errors(status, "no handler for route"))
    with pytest.raises(VaultRejected, match="nothing is mounted there"):
        client.call(ask)
    assert fake.count(ASK) == 1


def test_a_silent_server_is_given_up_at_the_deadline(fake: FakeVault, client: VaultClient) -> None:
    client.log_in()
    fake.script = answers(Answer(delay=20))
    assert 1.5 < timed(lambda: client.call(ask)) < 2.8


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_server_in_drips_is_given_up_at_the_deadline(
    fake: FakeVault, new_client: NewClient, repeatable: bool
) -> None:
    """Each byte comes well within any read timeout; all of them would take a minute."""
    client = new_client(timeout=1.0)
    client.log_in()
    fake.script = answers(Answer(body={"data": "x" * 600}, seconds_per_byte=0.1))
    assert timed(lambda: client.call(ask, repeatable=repeatable)) < 1.8
    with pytest.raises(VaultUnavailable, match="in time"):
        client.call(ask, repeatable=False)


def test_headers_in_drips_are_given_up_too(
    fake: FakeVault, client: VaultClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.log_in()

    def drip(handler: Any, _: Answer) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: 1\r\n" * 60:
            if fake.released.wait(0.1):
                return
            handler.wfile.write(bytes([byte]))

    monkeypatch.setattr(fake, "_send", drip)
    assert timed(lambda: client.call(ask)) < 2.8


def test_a_port_that_accepts_and_says_nothing_is_given_up(new_client: NewClient) -> None:
    """As OpenBao's does during its first start: the TLS handshake hangs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = Endpoint(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=1.0)
        client = VaultClient(endpoint, TokenLogin(lambda: "token"))
        assert timed(lambda: client.call(ask)) < 1.5
        client.close()


def test_a_missing_server_is_named(certificates: Any) -> None:
    client = VaultClient(
        Endpoint("https://127.0.0.1:9", certificates.authority, timeout=0.5),
        TokenLogin(lambda: "token"),
    )
    with pytest.raises(VaultUnavailable, match=r"127\.0\.0\.1:9 .*check vault\.addr"):
        client.call(ask)


def test_an_untrusted_certificate_is_not_tried_again(fake: FakeVault, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    client = VaultClient(Endpoint(fake.addr, other), TokenLogin(lambda: "token"))
    for _ in range(5):
        with pytest.raises(VaultUntrusted, match=r"check vault\.ca_cert"):
            client.call(ask)
    assert fake.calls == []
    client.close()


def test_a_certificate_for_another_name_is_not_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    files = Certificates(tmp_path)
    authority.cert_pem.write_to_path(files.authority)
    certificate = authority.issue_cert("vault.example")
    certificate.cert_chain_pems[0].write_to_path(files.server)
    certificate.private_key_pem.write_to_path(files.server_key)
    with fake_vault(files) as fake:
        client = VaultClient(Endpoint(fake.addr, files.authority), TokenLogin(lambda: "token"))
        with pytest.raises(VaultUntrusted, match="the host name in"):
            client.call(ask)
        client.close()


def test_the_machines_authorities_do_not_vouch_for_a_private_server(fake: FakeVault) -> None:
    client = VaultClient(Endpoint(fake.addr), TokenLogin(lambda: "token"))
    with pytest.raises(VaultUntrusted):
        client.call(ask)
    client.close()


def test_a_server_without_tls_is_not_trusted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        client = VaultClient(
            Endpoint(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=1.0),
            TokenLogin(lambda: "token"),
        )
        with pytest.raises(VaultError, match="does not speak TLS"):
            client.call(ask)
        thread.join()
        client.close()


def test_a_redirection_is_not_followed(fake: FakeVault, client: VaultClient) -> None:
    """It would take the token to wherever the answer says."""
    fake.script = answers(Answer(307, {}, {"Location": "https://127.0.0.1:9/v1/elsewhere"}))
    with pytest.raises(VaultUnavailable, match="redirection"):
        client.call(ask, repeatable=False)


def test_an_answer_that_is_not_json_is_not_vaults(fake: FakeVault, client: VaultClient) -> None:
    client.log_in()
    fake.script = answers(Answer(body=b"<html>a proxy says hello</html>"))
    with pytest.raises(VaultRejected, match="not Vault's"):
        client.call(ask)


@pytest.mark.parametrize(
    "addr", ["http://127.0.0.1:8200", "127.0.0.1:8200", "vault", "", "ftp://vault", "https://"]
)
def test_an_address_without_tls_is_refused(addr: str) -> None:
    with pytest.raises(ConfigurationError, match="VAULTDB_VAULT_ADDR"):
        Endpoint(addr)


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Endpoint("https://user:hunter2@vault:8200")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_an_authority_that_cannot_be_read_is_named(
    fake: FakeVault, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    client = VaultClient(Endpoint(fake.addr, file), AppRoleLogin("role", lambda: "secret"))
    with pytest.raises(ConfigurationError, match=r"ca\.pem: .*set VAULTDB_VAULT_CACERT"):
        client.call(ask)
    client.close()


def test_the_environment_is_ignored(
    fake: FakeVault, certificates: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No stray token, address, CA bundle, client certificate or proxy gets in."""
    (tmp_path / ".vault-token").write_text("stray-file-token")
    for name, value in {
        "HOME": str(tmp_path),
        "VAULT_TOKEN": "stray-token",
        "VAULT_ADDR": "https://127.0.0.1:9",
        "VAULT_CACERT": "/nonsense.pem",
        "VAULT_CLIENT_CERT": "/nonsense.pem",
        "VAULT_CLIENT_KEY": "/nonsense.pem",
        "VAULT_NAMESPACE": "stray",
        "REQUESTS_CA_BUNDLE": "/nonsense.pem",
        "CURL_CA_BUNDLE": "/nonsense.pem",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "SSLKEYLOGFILE": str(tmp_path / "keys.log"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("hvac.v1.VAULT_CLIENT_CERT", "/nonsense.pem")
    monkeypatch.setattr("hvac.v1.VAULT_CACERT", "/nonsense.pem")
    client = VaultClient(
        Endpoint(fake.addr, certificates.authority), AppRoleLogin("role", lambda: "secret")
    )
    fake.script = answers(OK)
    assert client.call(ask)["data"]["answer"] == 42
    client.close()
    assert fake.tokens[0] is None, "the login goes out without any token"
    assert not any("stray" in (token or "") for token in fake.tokens)
    assert not (tmp_path / "keys.log").exists()
