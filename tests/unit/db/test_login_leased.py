"""One lease at a time: renewed ahead, replaced with overlap, asked for once and not too often."""

from __future__ import annotations

import logging

import pytest

from tests.unit.db.fake_role import FakeRole, NoThread
from tests.unit.keys.support import in_threads
from vaultdb.db.login import leased
from vaultdb.db.login.leased import LeasedLogin
from vaultdb.errors import VaultDenied, VaultRejected, VaultUnavailable
from vaultdb.vault.answers import LEASE_GONE
from vaultdb.vault.leases import Lease

AWAY = VaultUnavailable("vault is away")


def pass_time(role: FakeRole, login: LeasedLogin, seconds: float) -> list[float]:
    """Let the time pass and look whenever the login asks to; return the times of the looks."""
    looks = []
    end = role.clock.now + seconds
    while True:
        wait = login.renew()
        looks.append(role.clock.now)
        if role.clock.now + wait > end:
            role.clock.now = end
            return looks
        role.clock.advance(max(wait, 0.001))


def test_nothing_is_leased_before_the_first_connection(role: FakeRole, login: LeasedLogin) -> None:
    assert not login.is_ready()
    assert login.renew() == float("inf")
    login.close()
    assert role.issued == []
    assert role.revoked == []


def test_one_lease_serves_all_connections(role: FakeRole, login: LeasedLogin) -> None:
    logins = {login.current() for _ in range(5)}
    assert [(one.user, one.password, one.generation) for one in logins] == [("v_1", "SECRET-1", 1)]
    assert login.is_ready()
    assert not login.is_retired(1)


def test_twenty_threads_lease_once(role: FakeRole, login: LeasedLogin) -> None:
    logins = in_threads(20, lambda _: login.current())
    assert {one.user for one in logins} == {"v_1"}
    assert len(role.issued) == 1


def test_it_is_renewed_at_half_of_its_life(role: FakeRole, login: LeasedLogin) -> None:
    login.current()
    wait = login.renew()
    assert 45.0 <= wait <= 50.0
    role.clock.advance(wait)
    login.renew()
    assert login.counters.renewed == 1
    role.clock.advance(75)
    assert login.current().generation == 1, "it lives 100 s from the renewal on"


def test_it_is_replaced_before_its_last_renewal_ends_and_keeps_the_overlap(
    role: FakeRole, login: LeasedLogin
) -> None:
    login.current()
    pass_time(role, login, 1_000)
    assert login.counters.issued >= 4
    for old, new in zip(role.issued, role.issued[1:], strict=False):
        end = old.obtained_at + role.max_ttl
        assert end - new.obtained_at >= 20.0, "transactions of 20 s can end"
    assert login.current().user == role.issued[-1].user


@pytest.mark.parametrize("ttl", [27.0, 30.0, 40.0])
def test_an_overlap_close_to_the_life_is_kept_too(
    role: FakeRole, login: LeasedLogin, ttl: float
) -> None:
    role.ttl, role.max_ttl = ttl, 2.5 * ttl
    login.current()
    pass_time(role, login, 500)
    for old, new in zip(role.issued, role.issued[1:], strict=False):
        assert old.obtained_at + role.max_ttl - new.obtained_at >= 20.0


def test_a_life_shorter_than_the_overlap_is_said_aloud_once(
    role: FakeRole, login: LeasedLogin, caplog: pytest.LogCaptureFixture
) -> None:
    role.ttl, role.max_ttl = 10.0, 30.0
    login.current()
    pass_time(role, login, 200)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "leases logins for 10 s, too short for database.lease_overlap = 20 s" in warning
    assert "transactions longer than 5 s may be cut off" in warning
    for old, new in zip(role.issued, role.issued[1:], strict=False):
        assert old.obtained_at + 30.0 - new.obtained_at >= 5.0


def test_a_lease_that_cannot_be_renewed_is_replaced(role: FakeRole, login: LeasedLogin) -> None:
    role.renewable = False
    login.current()
    role.clock.advance(50)
    login.renew()
    assert login.current().generation == 2
    assert login.is_retired(1)


def test_a_role_that_may_not_renew_gets_new_leases(role: FakeRole, login: LeasedLogin) -> None:
    role.renewal_failure = VaultDenied("no")
    login.current()
    role.clock.advance(50)
    login.renew()
    assert login.current().generation == 2


def test_a_lease_that_was_revoked_is_replaced_at_the_next_look(
    role: FakeRole, login: LeasedLogin
) -> None:
    role.renewal_failure = VaultRejected(f"sys/leases/renew: vault answered 400, {LEASE_GONE}")
    login.current()
    role.clock.advance(50)
    login.renew()
    assert login.current().generation == 2
    assert login.counters.lost == 1


def test_a_renewal_during_an_outage_is_tried_until_it_works(
    role: FakeRole, login: LeasedLogin, caplog: pytest.LogCaptureFixture
) -> None:
    login.current()
    role.clock.advance(50)
    role.renewal_failure = role.failure = AWAY
    waits = []
    for _ in range(5):
        waits.append(login.renew())
        role.clock.advance(waits[-1])
    assert all(0 < wait < 11 for wait in waits)
    assert login.current().generation == 1, "it lives on"
    assert login.counters.failures == 5
    assert "cannot renew the login of vaultdb-database/vaultdb-app-rw: vault is away" in caplog.text
    role.renewal_failure = None
    login.renew()
    assert login.counters.renewed == 1


def test_a_lease_that_ended_during_an_outage_is_not_used(
    role: FakeRole, login: LeasedLogin
) -> None:
    login.current()
    role.renewal_failure = role.failure = AWAY
    role.clock.advance(101)
    assert not login.is_ready()
    with pytest.raises(VaultUnavailable, match="vault is away"):
        login.current()
    assert not login.is_retired(1), "connections that are open may still work"
    role.failure = None
    role.clock.advance(1)
    assert login.current().generation == 2


def test_a_login_that_is_not_given_is_asked_for_once_a_second(
    role: FakeRole, login: LeasedLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def deny() -> Lease:
        asked.append(role.clock())
        raise VaultDenied("its policy does not allow this")

    monkeypatch.setattr(role, "issue", deny)
    for _ in range(20):
        with pytest.raises(VaultDenied, match="its policy"):
            login.current()
        role.clock.advance(0.1)
    assert len(asked) == 2


def test_a_refused_login_is_replaced_once_for_all_threads(
    role: FakeRole, login: LeasedLogin
) -> None:
    login.current()
    role.clock.advance(10)
    assert in_threads(20, lambda _: login.refused(1)) == [True] * 20
    assert login.counters.forced == 1
    assert login.current().generation == 2
    assert login.refused(1), "who comes late tries again with the new one"
    assert len(role.issued) == 2


def test_new_logins_that_are_refused_are_replaced_ever_less_often(
    role: FakeRole, login: LeasedLogin
) -> None:
    login.current()
    for _ in range(1_200):
        login.refused(login.current().generation)
        role.clock.advance(0.1)
    assert 5 <= login.counters.forced <= 9, "in two minutes"


def test_a_refusal_while_vault_is_away_says_so(role: FakeRole, login: LeasedLogin) -> None:
    login.current()
    role.failure = AWAY
    role.clock.advance(10)
    with pytest.raises(VaultUnavailable):
        login.refused(1)


def test_a_login_that_a_replica_does_not_know_yet_is_tried_again(
    role: FakeRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leased, "Renewal", NoThread)
    monkeypatch.setattr(leased, "sleep", role.clock.advance)
    login = LeasedLogin(role, overlap=20.0, replica_lag=5.0)  # type: ignore[arg-type]
    login.current()
    tries = 0
    while login.current().generation == 1:
        assert login.refused(1)
        tries += 1
    assert 45 <= tries <= 55, "for five seconds"
    assert login.counters.forced == 1


def test_a_new_token_means_a_new_lease(role: FakeRole, login: LeasedLogin) -> None:
    login.current()
    assert role.client.follower is login
    role.client.token_generation = 2
    login.token_replaced()
    assert login._renewal.woken == 1  # type: ignore[union-attr]
    login.renew()
    assert login.current().generation == 2
    login.renew()
    assert len(role.issued) == 2, "and not another"


def test_nothing_secret_is_shown(role: FakeRole, login: LeasedLogin) -> None:
    text = f"{login.current()!r} {login!r} {login.counters!r} {login._held!r}"
    assert "SECRET" not in text
