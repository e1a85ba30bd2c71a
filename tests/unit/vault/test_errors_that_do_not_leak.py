"""Whatever Vault answers, no token, secret id or DEK is in an error, a log record or a warning.

The bodies are those that OpenBao 2.7 and Vault send: a batch with one bad item comes as a 400 whose
body holds the plaintext DEKs of the good ones, and hvac would make that body its message.
"""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.keys.support import REALM
from tests.unit.vault.conftest import NewClient
from tests.unit.vault.fake_vault import (
    PLAINTEXT_DEK,
    SECRET_ID,
    SECRET_TOKEN,
    Answer,
    FakeVault,
    errors,
    login_answer,
)
from vaultdb.errors import KeyDenied, KeyringError, KeyUnavailable, VaultDBError, VaultError
from vaultdb.keys import Keyring, KeyScope, KeyState, MemoryKeyStore, Purpose, WrappedKey
from vaultdb.vault.login import AppRoleLogin, JwtLogin, TokenLogin, WrappedSecretId
from vaultdb.vault.providers.vault import VaultProvider

WRAPPED = "vault:v1:V1JBUFBFRC1ERUs="
JWT = "eyJhbGciOi.SECRET-JWT.c2ln"
WRAPPING_TOKEN = "s.SECRET-WRAPPING-TOKEN"
SECRETS = (SECRET_TOKEN, SECRET_ID, PLAINTEXT_DEK, JWT, WRAPPING_TOKEN, "PLAINTEXT-DEK", "ECHOED")

KEK = Answer(body={"data": {"derived": True, "exportable": False, "latest_version": 1}})
BATCH_400 = Answer(
    400,
    {
        "data": {
            "batch_results": [
                {"plaintext": PLAINTEXT_DEK},
                {"error": "cipher: message authentication failed", "plaintext": PLAINTEXT_DEK},
            ]
        }
    },
)
ECHO = f"could not handle ECHOED {SECRET_TOKEN} {SECRET_ID} {PLAINTEXT_DEK}"
FAULTS: dict[str, Answer] = {
    "400 of a batch": BATCH_400,
    "400": errors(400, ECHO),
    "400 without errors": Answer(400, {"plaintext": PLAINTEXT_DEK}),
    "403": errors(403, ECHO),
    "404": errors(404, ECHO),
    "405": errors(405, ECHO),
    "412": errors(412, ECHO),
    "429": errors(429, ECHO, Retry_After="5"),
    "500": errors(500, ECHO),
    "500 in text": Answer(500, ECHO.encode()),
    "502": errors(502, ECHO),
    "503": errors(503, "Vault is sealed", ECHO),
    "504": errors(504, ECHO),
    "a redirection": Answer(307, {}, {"Location": f"https://{SECRET_TOKEN}/"}),
    "no JSON": Answer(200, f"<html>{ECHO}</html>".encode()),
    "other JSON": Answer(200, {"data": {"plaintext": PLAINTEXT_DEK}}),
    "a list": Answer(200, [PLAINTEXT_DEK]),
    "too few items": Answer(200, {"data": {"batch_results": []}}),
    "items with an error": Answer(200, {"data": {"batch_results": [{"error": ECHO}]}}),
    "no base64": Answer(200, {"data": {"batch_results": [{"plaintext": f"%{PLAINTEXT_DEK}"}]}}),
    "a wrong DEK": Answer(200, {"data": {"batch_results": [{"plaintext": PLAINTEXT_DEK}]}}),
    "a lost connection": Answer(hang_up=True),
    "a timeout": Answer(delay=30),
    "drips": Answer(200, {"data": PLAINTEXT_DEK * 9}, seconds_per_byte=0.05),
}

ROW = WrappedKey(
    b"k" * 16, REALM, KeyScope("", "default", Purpose.DATA), 1, KeyState.ACTIVE, 1, WRAPPED
)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that hangs on it, shown by tracebacks or not."""
    while error is not None:
        yield error
        assert error.__cause__ is None or error.__context__ is None
        error = error.__cause__ or error.__context__


def assert_nothing_leaks(
    error: BaseException, caplog: pytest.LogCaptureFixture, said: list[warnings.WarningMessage]
) -> None:
    assert list(chain(error)) == [error], "no cause and no context"
    shown = [str(error), repr(error), repr(error.args), repr(vars(error))]
    shown += ["".join(traceback.format_exception(error)), caplog.text]
    shown += [repr(record.__dict__) for record in caplog.records]
    shown += [str(warning.message) for warning in said]
    for text in shown:
        for secret in SECRETS:
            assert secret not in text


@pytest.fixture
def listening(
    caplog: pytest.LogCaptureFixture,
) -> Iterator[tuple[pytest.LogCaptureFixture, list[warnings.WarningMessage]]]:
    """Everything that is logged, at any level by anybody, and every warning."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield caplog, said


@pytest.mark.parametrize("fault", FAULTS)
def test_unwrapping(fake: FakeVault, new_client: NewClient, listening: Any, fault: str) -> None:
    fake.script = lambda method, *_: KEK if method == "GET" else FAULTS[fault]
    store = MemoryKeyStore()
    store.insert(ROW)
    client = new_client(timeout=0.5 if fault in {"a timeout", "drips"} else 2.0)
    client.log_in()
    provider = VaultProvider(client, mount="vaultdb-transit", kek="vaultdb")
    keyring = Keyring(realm=REALM, provider=provider, store=store)
    with pytest.raises((KeyDenied, KeyUnavailable)) as caught:
        keyring.active("", "default")
    assert_nothing_leaks(caught.value, *listening)


@pytest.mark.parametrize(
    "fault",
    [
        name
        for name, answer in FAULTS.items()
        if answer.status != 200 or answer.hang_up or answer.delay
    ],
)
def test_calling(fake: FakeVault, new_client: NewClient, listening: Any, fault: str) -> None:
    """Without the layers above, which make new errors of these."""
    fake.script = lambda *_: FAULTS[fault]
    client = new_client(timeout=0.5 if fault == "a timeout" else 2.0)
    client.log_in()
    with pytest.raises(VaultError) as caught:
        client.call(
            lambda vault: vault.secrets.transit.decrypt_data("vaultdb", WRAPPED), repeatable=False
        )
    assert_nothing_leaks(caught.value, *listening)


@pytest.mark.parametrize(
    "call",
    [
        lambda provider: provider.create(b"context"),
        lambda provider: provider.rewrap([(WRAPPED, b"context")]),
        lambda provider: provider.rotate(),
        lambda provider: provider.check(),
    ],
    ids=["create", "rewrap", "rotate", "check"],
)
@pytest.mark.parametrize("fault", ["400 of a batch", "400", "403", "429", "500", "503"])
def test_the_other_operations(
    fake: FakeVault,
    new_client: NewClient,
    listening: Any,
    fault: str,
    call: Callable[[VaultProvider], object],
) -> None:
    fake.script = lambda *_: FAULTS[fault]
    provider = VaultProvider(new_client(), mount="vaultdb-transit", kek="vaultdb")
    with pytest.raises(KeyringError) as caught:
        call(provider)
    assert_nothing_leaks(caught.value, *listening)


@pytest.mark.parametrize(
    "method",
    [
        AppRoleLogin("role-id", lambda: SECRET_ID),
        AppRoleLogin("role-id", WrappedSecretId(lambda: WRAPPING_TOKEN)),
        JwtLogin("role", lambda: JWT),
        TokenLogin(lambda: SECRET_TOKEN),
    ],
    ids=["approle", "wrapped", "jwt", "token"],
)
@pytest.mark.parametrize("fault", ["400", "403", "429", "500 in text", "no JSON"])
def test_logging_in(
    fake: FakeVault, new_client: NewClient, listening: Any, fault: str, method: Any
) -> None:
    fake.script = lambda *_: FAULTS[fault]
    fake.login = fake.lookup = lambda: FAULTS[fault]
    with pytest.raises(VaultDBError) as caught:
        new_client(method=method).log_in()
    assert_nothing_leaks(caught.value, *listening)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"auth": None},
        {"auth": {"client_token": SECRET_TOKEN}},
        [1],
        {"auth": {"client_token": SECRET_TOKEN, "lease_duration": SECRET_TOKEN, "renewable": 1}},
    ],
)
def test_a_login_answer_that_is_none(
    fake: FakeVault, new_client: NewClient, listening: Any, broken: Any
) -> None:
    fake.login = lambda: Answer(200, broken)
    with pytest.raises(VaultDBError) as caught:
        new_client().log_in()
    assert_nothing_leaks(caught.value, *listening)


def test_a_failed_renewal(fake: FakeVault, new_client: NewClient, listening: Any) -> None:
    fake.login = lambda: login_answer(1)
    fake.script = lambda *_: FAULTS["500"]
    client = new_client()
    client.log_in()
    fake.released.wait(1.5)
    with pytest.raises(VaultDBError) as caught:
        client.call(lambda vault: vault.auth.token.renew_self())
    assert_nothing_leaks(caught.value, *listening)


def test_objects_that_hold_secrets_do_not_show_them(new_client: NewClient) -> None:
    client = new_client()
    client.log_in()
    provider = VaultProvider(client, mount="vaultdb-transit", kek="vaultdb")
    shown = [repr(client), repr(provider), repr(client._keeper._token), str(vars(client))]
    for text in shown:
        for secret in SECRETS:
            assert secret not in text
