"""A token that works: after a 403 the reason is looked for, logins are few, renewals in time."""

from __future__ import annotations

import os
import time
from typing import Any

import hvac
import pytest

from tests.unit.keys.support import FakeClock, eventually, in_threads
from tests.unit.vault.conftest import NewClient
from tests.unit.vault.fake_vault import SECRET_TOKEN, Answer, FakeVault, errors, login_answer
from vaultdb.errors import VaultDenied, VaultUnavailable
from vaultdb.vault.login import TokenLogin

ASK = "thing/ask"
OK = Answer(body={"data": {}})
FORBIDDEN = errors(403, "permission denied")


def ask(vault: hvac.Client) -> Any:
    return vault.adapter.post(f"/v1/{ASK}")


class Tokens:
    """A Vault that knows its tokens: each login gives a new one, and dead ones are refused."""

    def __init__(self, fake: FakeVault, ttl: int = 3600) -> None:
        self.fake = fake
        self.ttl = ttl
        self.issued = 0
        self.dead: set[str] = set()
        fake.login = self.log_in
        fake.script = self.answer
        fake.lookup = lambda: FORBIDDEN if self.is_dead() else Answer(body={"data": {"ttl": 60}})

    def log_in(self) -> Answer:
        self.issued += 1
        return login_answer(self.ttl, token=self.current)

    @property
    def current(self) -> str:
        return f"s.token-{self.issued}"

    def is_dead(self) -> bool:
        return self.fake.tokens[-1] in self.dead

    def answer(self, *_: Any) -> Answer:
        return FORBIDDEN if self.is_dead() else OK


def test_a_revoked_token_is_replaced(fake: FakeVault, new_client: NewClient) -> None:
    tokens = Tokens(fake)
    client = new_client(timeout=5.0)
    client.call(ask)
    tokens.dead.add(tokens.current)
    client.call(ask)
    assert tokens.issued == 2
    assert fake.count("auth/token/lookup-self") == 1


def test_a_policy_that_forbids_does_not_lead_to_logins(
    fake: FakeVault, new_client: NewClient
) -> None:
    """A removed policy once caused 47 logins in two seconds."""
    client = new_client()
    fake.script = lambda *_: FORBIDDEN
    for _ in range(30):
        with pytest.raises(VaultDenied, match="its policy does not allow this"):
            client.call(ask)
    assert fake.count("auth/approle/login") == 1
    assert fake.count("auth/token/lookup-self") <= 3, "asked at most once a second"


def test_tokens_that_die_at_once_lead_to_one_login_a_second(
    fake: FakeVault, new_client: NewClient
) -> None:
    tokens = Tokens(fake)
    tokens.answer = lambda *_: FORBIDDEN  # type: ignore[method-assign]
    fake.script = tokens.answer
    fake.lookup = lambda: FORBIDDEN
    client = new_client(timeout=5.0)
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        with pytest.raises(VaultDenied):
            client.call(ask)
    assert tokens.issued <= 5


def test_many_threads_with_a_revoked_token_log_in_once(
    fake: FakeVault, new_client: NewClient
) -> None:
    tokens = Tokens(fake)
    client = new_client(timeout=20.0)
    client.call(ask)
    time.sleep(1.05)
    tokens.dead.add(tokens.current)
    results = in_threads(20, lambda _: client.call(ask))
    assert not [result for result in results if isinstance(result, Exception)]
    assert tokens.issued == 2


def test_a_refused_login_is_not_repeated_within_a_second(
    fake: FakeVault, new_client: NewClient
) -> None:
    client = new_client()
    fake.login = lambda: errors(400, "invalid role or secret ID")
    for _ in range(10):
        with pytest.raises(VaultDenied, match=r"approle login was refused: .*wrong role id or"):
            client.call(ask)
    assert fake.count("auth/approle/login") <= 2


def test_an_expired_token_is_not_even_tried(fake: FakeVault, new_client: NewClient) -> None:
    clock = FakeClock()
    tokens = Tokens(fake, ttl=60)
    client = new_client(_clock=clock)
    client.call(ask)
    clock.advance(61)
    client.call(ask)
    assert tokens.issued == 2
    assert fake.tokens[-1] == "s.token-2"


def test_the_token_is_renewed_before_its_end(fake: FakeVault, new_client: NewClient) -> None:
    tokens = Tokens(fake, ttl=2)

    def renew(_: str, path: str, __: Any) -> Answer:
        if path == "auth/token/renew-self":
            return login_answer(2, token=tokens.current)
        return OK

    fake.script = renew
    client = new_client()
    client.call(ask)
    assert eventually(lambda: client.counters.renewals >= 2, 6.0)
    assert tokens.issued == 1


def test_a_token_at_its_maximum_is_replaced_while_it_still_works(
    fake: FakeVault, new_client: NewClient
) -> None:
    """Near its maximum a renewal gives less and less, and says OK."""
    tokens = Tokens(fake, ttl=3)
    fake.script = lambda _, path, __: (
        login_answer(1, token=tokens.current) if path == "auth/token/renew-self" else OK
    )
    client = new_client()
    client.call(ask)
    assert eventually(lambda: client.counters.logins == 2, 6.0)
    client.call(ask)
    assert fake.tokens[-1] == "s.token-2"


def test_a_token_that_cannot_be_renewed_is_replaced_in_time(
    fake: FakeVault, new_client: NewClient
) -> None:
    logins = 0

    def log_in() -> Answer:
        nonlocal logins
        logins += 1
        return login_answer(2, renewable=False)

    fake.login = log_in
    new_client().call(ask)
    assert eventually(lambda: logins >= 2, 6.0)
    assert fake.count("auth/token/renew-self") == 0


def test_a_renewal_during_an_outage_is_tried_again(fake: FakeVault, new_client: NewClient) -> None:
    Tokens(fake, ttl=4)
    trouble = [errors(500, "internal error")]

    def renew(_: str, path: str, __: Any) -> Answer:
        if path != "auth/token/renew-self":
            return OK
        return trouble.pop() if trouble else login_answer(4)

    fake.script = renew
    client = new_client()
    client.call(ask)
    assert eventually(lambda: client.counters.renewals >= 1, 8.0)


def test_the_token_is_revoked_at_the_end(fake: FakeVault, new_client: NewClient) -> None:
    client = new_client()
    client.call(ask)
    client.close()
    assert fake.count("auth/token/revoke-self") == 1
    assert fake.tokens[-1] == SECRET_TOKEN


def test_a_given_token_is_never_revoked(fake: FakeVault, new_client: NewClient) -> None:
    client = new_client(method=TokenLogin(lambda: "s.given"))
    client.call(ask)
    client.close()
    assert fake.count("auth/token/revoke-self") == 0
    assert fake.tokens[-1] == "s.given"


def test_a_given_token_that_dies_is_reported(fake: FakeVault, new_client: NewClient) -> None:
    client = new_client(method=TokenLogin(lambda: "s.given"), timeout=5.0)
    client.call(ask)
    fake.script = lambda *_: FORBIDDEN
    fake.lookup = lambda: FORBIDDEN
    with pytest.raises(VaultDenied, match="the token login was refused"):
        client.call(ask)


def test_a_given_token_that_an_agent_replaced_is_picked_up(
    fake: FakeVault, new_client: NewClient
) -> None:
    current = ["s.old"]
    client = new_client(method=TokenLogin(lambda: current[0]), timeout=5.0)
    client.call(ask)
    current[0] = "s.new"
    fake.script = lambda *_: FORBIDDEN if fake.tokens[-1] == "s.old" else OK
    fake.lookup = lambda: (
        FORBIDDEN if fake.tokens[-1] == "s.old" else Answer(body={"data": {"ttl": 0}})
    )
    client.call(ask)
    assert fake.tokens[-1] == "s.new"


def test_closing_while_vault_is_away_is_quick(fake: FakeVault, new_client: NewClient) -> None:
    client = new_client(timeout=20.0)
    client.call(ask)
    fake.close()
    started = time.monotonic()
    client.close()
    assert time.monotonic() - started < 2.0


def test_a_child_logs_in_by_itself_and_revokes_only_its_own(
    fake: FakeVault, new_client: NewClient
) -> None:
    tokens = Tokens(fake)
    client = new_client(timeout=10.0)
    client.call(ask)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            client.call(ask)
            client.close()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert tokens.issued == 2
    revoked = [
        token
        for token, (_, path) in zip(fake.tokens, fake.calls, strict=True)
        if path == "auth/token/revoke-self"
    ]
    assert revoked == ["s.token-2"]
    client.call(ask)
    assert fake.tokens[-1] == "s.token-1", "the parent's token lives"


def test_a_child_that_only_exits_revokes_nothing(fake: FakeVault, new_client: NewClient) -> None:
    """A fork's child runs the parent's exit handlers."""
    client = new_client()
    client.call(ask)
    pid = os.fork()
    if pid == 0:
        try:
            from vaultdb.vault.client import _close_all

            _close_all()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert fake.count("auth/token/revoke-self") == 0


def test_a_call_does_not_wait_longer_than_its_deadline_for_anothers_login(
    fake: FakeVault, new_client: NewClient
) -> None:
    fake.login = lambda: Answer(body=login_answer().body, delay=1.0)
    fake.script = lambda *_: OK
    client = new_client(timeout=2.0)
    started = time.monotonic()
    results = in_threads(5, lambda _: client.call(ask))
    assert time.monotonic() - started < 4.0
    for result in results:
        assert not isinstance(result, Exception) or isinstance(result, VaultUnavailable)
