"""Children of a fork: each logs in by itself, and none ends what is its parent's.

Two shapes: gunicorn with `preload`, where the parent makes the keyring and may or may not use it,
and Celery's prefork pool, where children come and go while the parent works on.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from tests.integration.vault.conftest import Place
from vaultdb.keys import Keyring, KeyScope, MemoryKeyStore, Purpose, create_key
from vaultdb.vault.client import VaultClient
from vaultdb.vault.login import AppRoleLogin
from vaultdb.vault.providers.vault import VaultProvider

REALM = uuid4()
TENANTS = ("acme", "globex")


class App:
    """What a web or worker process has at start: a keyring that has done no I/O."""

    def __init__(self, place: Place) -> None:
        self.place = place
        officer = place.provider("officer")
        store = MemoryKeyStore()
        for tenant in TENANTS:
            create_key(officer, store, REALM, KeyScope(tenant, "default", Purpose.DATA), 1)
        role_id, new_secret_id = place.approle(token_ttl="10s")
        secret_id = new_secret_id()
        self.client: VaultClient = place.client(
            AppRoleLogin(role_id, lambda: secret_id), timeout=20.0
        )
        provider = VaultProvider(self.client, mount=place.mount, kek="kek")
        self.keyring = Keyring(realm=REALM, provider=provider, store=store)

    def use(self, tenant: str) -> bool:
        return self.keyring.active(tenant, "default").scope.tenant == tenant

    def token(self) -> str:
        return self.client._keeper.token().secret

    def is_alive(self, token: str) -> bool:
        return "data" in self.place.admin.write("auth/token/lookup", token=token)


@pytest.fixture
def app(place: Place) -> Iterator[App]:
    made = App(place)
    yield made
    made.keyring.close()


def fork(work: Callable[[], bool], *, exit_cleanly: bool) -> int:
    """Fork a child that works and ends, with its exit handlers or at once."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = 0 if work() else 1
        if exit_cleanly:
            import atexit

            atexit._run_exitfuncs()
    except BaseException as error:  # noqa: BLE001 - reported by the exit code
        sys.__stderr__ and sys.__stderr__.write(f"child: {error!r}\n")
        code = 1
    finally:
        os._exit(code)


def all_succeed(pids: list[int], seconds: float = 30.0) -> bool:
    codes = []
    end = time.monotonic() + seconds
    for pid in pids:
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes.append(os.waitstatus_to_exitcode(status))
                break
            if time.monotonic() > end:
                os.kill(pid, 9)
            time.sleep(0.01)
    return codes == [0] * len(pids)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
class TestFork:
    def test_preloaded_and_unused(self, app: App) -> None:
        pids = [fork(lambda: app.use("acme"), exit_cleanly=False) for _ in range(4)]
        assert all_succeed(pids)
        assert app.client.counters.logins == 0, "the parent has done no I/O"

    def test_preloaded_and_used(self, app: App) -> None:
        assert app.use("acme")
        parents = app.token()

        def work() -> bool:
            app.keyring.flush()
            return app.use("acme") and app.use("globex") and app.token() != parents

        assert all_succeed([fork(work, exit_cleanly=False) for _ in range(4)])
        app.keyring.flush()
        assert app.use("globex")
        assert app.token() == parents

    def test_the_parents_token_survives_children_that_exit(self, app: App) -> None:
        """Their exit handlers are the parent's; they revoke their own token only."""
        assert app.use("acme")
        parents = app.token()
        idle = fork(lambda: True, exit_cleanly=True)
        busy = fork(lambda: app.use("globex"), exit_cleanly=True)
        assert all_succeed([idle, busy])
        assert app.is_alive(parents)
        app.keyring.flush()
        assert app.use("acme")
        assert app.client.counters.logins == 1

    def test_children_come_and_go_while_the_parent_works(self, app: App) -> None:
        """Forked in the middle of other threads' calls: no lock and no connection is inherited."""
        stop = threading.Event()
        trouble: list[Exception] = []

        def keep_asking() -> None:
            while not stop.is_set():
                try:
                    app.keyring.flush()
                    app.use("acme")
                    app.client.call(lambda vault: vault.auth.token.lookup_self())
                except Exception as error:  # noqa: BLE001 - for the assertion below
                    trouble.append(error)

        threads = [threading.Thread(target=keep_asking) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                children = [fork(lambda: app.use("globex"), exit_cleanly=True) for _ in range(2)]
                assert all_succeed(children)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not trouble
        assert app.client.counters.logins == 1

    def test_a_child_renews_its_own_token(self, place: Place) -> None:
        role_id, new_secret_id = place.approle(token_ttl="2s", token_period="2s")
        secret_id = new_secret_id()
        client = place.client(AppRoleLogin(role_id, lambda: secret_id), timeout=10.0)
        client.log_in()

        def work() -> bool:
            client.log_in()
            time.sleep(3)
            client.call(lambda vault: vault.auth.token.lookup_self())
            return client.counters.renewals >= 1 and client.counters.logins == 2

        assert all_succeed([fork(work, exit_cleanly=False)])
        client.close()
