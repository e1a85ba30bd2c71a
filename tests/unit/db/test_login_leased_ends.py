"""How leased logins end: revoked by whoever leased them, in the process that did."""

from __future__ import annotations

import gc
import os
import threading
import weakref

import pytest

from tests.unit.db.fake_role import FakeRole
from tests.unit.keys.support import eventually
from vaultdb.db.login.leased import LeasedLogin
from vaultdb.errors import VaultDBError, VaultDenied, VaultRejected, VaultUnavailable


def test_closing_revokes_every_lease_that_lives(role: FakeRole, login: LeasedLogin) -> None:
    login.current()
    role.clock.advance(10)
    login.refused(1)
    login.close()
    assert role.revoked == ["v_2", "v_1"]
    assert login.counters.revoked == 2
    login.close()
    assert len(role.revoked) == 2


def test_it_can_be_used_after_closing(role: FakeRole, login: LeasedLogin) -> None:
    login.current()
    login.close()
    assert login.current().generation == 2


@pytest.mark.parametrize(
    ("failure", "is_logged"),
    [
        (VaultUnavailable("the database did not end the login"), True),
        (VaultRejected("no"), True),
        (VaultDenied("its policy does not allow this"), False),
    ],
)
def test_a_lease_that_cannot_be_revoked_does_not_break_the_end(
    role: FakeRole,
    login: LeasedLogin,
    caplog: pytest.LogCaptureFixture,
    failure: VaultDBError,
    is_logged: bool,
) -> None:
    login.current()
    role.revocation_failure = failure
    login.close()
    assert login.counters.not_revoked == 1
    assert ("cannot revoke the login v_1" in caplog.text) == is_logged
    assert "SECRET" not in caplog.text


def test_closing_waits_for_a_lease_that_is_being_made(role: FakeRole, login: LeasedLogin) -> None:
    role.may_answer.clear()
    thread = threading.Thread(target=login.current)
    thread.start()
    assert role.entered.wait(5)
    threading.Timer(0.1, role.may_answer.set).start()
    login.close()
    thread.join(5)
    assert role.revoked == ["v_1"]


def test_a_child_leases_its_own_and_revokes_only_that(role: FakeRole, login: LeasedLogin) -> None:
    login.current()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            held = login.is_ready()
            login.close()
            before = list(role.revoked)
            user = login.current().user
            login.close()
            os.write(writing, f"{held} {before} {user} {role.revoked}".encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 1000) == b"False [] v_2 ['v_2']"
    os.close(reading)
    os.close(writing)
    assert role.revoked == []


def test_a_thread_that_came_from_before_the_fork_does_not_matter(
    role: FakeRole, login: LeasedLogin
) -> None:
    """A child is forked while a thread of the parent holds the lock."""
    role.may_answer.clear()
    thread = threading.Thread(target=login.current)
    thread.start()
    assert role.entered.wait(5)
    pid = os.fork()
    if pid == 0:
        role.may_answer.set()
        os._exit(0 if login.current().user == "v_1" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    role.may_answer.set()
    thread.join(5)


def test_its_thread_ends_with_it(role: FakeRole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaultdb.vault.renewal.LONGEST_SLEEP", 0.05)
    login = LeasedLogin(role, overlap=20.0)  # type: ignore[arg-type]
    login.current()
    thread = login._renewal._thread  # type: ignore[union-attr]
    assert thread.is_alive()
    gone = weakref.ref(login)
    role.client.follower = None
    del login
    gc.collect()
    assert gone() is None
    assert eventually(lambda: not thread.is_alive())
