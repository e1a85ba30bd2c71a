"""A forked child goes on with the DEKs and without the parent's locks, threads and flights."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable

import pytest

from tests.unit.keys.support import World
from vaultdb.errors import KeyUnavailable


def in_child(work: Callable[[], bool]) -> bool:
    """Run `work` in a forked child; return what it returned, or False after ten seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork of a threaded process
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


def test_a_child_uses_cached_keys_without_asking(world: World) -> None:
    world.create("acme")
    keyring = world.keyring()
    key = keyring.active("acme", "default")
    queries = world.store.queries
    assert in_child(
        lambda: (
            keyring.get(key.key_id).version == 1
            and keyring.active("acme", "default").version == 1
            and world.store.queries == queries
        )
    )


def test_a_child_does_not_wait_for_a_fetch_of_the_parent(world: World) -> None:
    """Forked while another thread holds the flight of the very key that the child needs."""
    world.create("acme")
    keyring = world.keyring()
    started, release = threading.Event(), threading.Event()
    parent = os.getpid()

    def hold_in_parent(_: object) -> None:
        if os.getpid() == parent:
            started.set()
            release.wait(20)

    world.provider.before_unwrap = hold_in_parent
    thread = threading.Thread(target=lambda: keyring.active("acme", "default"))
    thread.start()
    started.wait(5)
    try:
        assert in_child(lambda: keyring.active("acme", "default").version == 1)
    finally:
        release.set()
        thread.join(10)


def test_a_child_refreshes_with_a_thread_of_its_own(world: World) -> None:
    world.create("acme")
    keyring = world.keyring()
    key = keyring.active("acme", "default")
    release = threading.Event()
    parent = os.getpid()
    world.provider.before_unwrap = lambda _: os.getpid() == parent and release.wait(20)
    world.clock.advance(301)
    keyring.get(key.key_id)  # the parent's refresh hangs

    def refreshes() -> bool:
        before = len(world.provider.batches)
        world.clock.advance(301)
        keyring.get(key.key_id)
        end = time.monotonic() + 5
        while len(world.provider.batches) == before and time.monotonic() < end:
            time.sleep(0.01)
        return len(world.provider.batches) > before

    try:
        assert in_child(refreshes)
    finally:
        release.set()


def test_the_hard_lifetime_holds_in_a_child(world: World) -> None:
    world.create("acme")
    keyring = world.keyring()
    keyring.active("acme", "default")
    world.provider.trouble = KeyUnavailable("away")

    def expires() -> bool:
        world.clock.advance(901)
        with pytest.raises(KeyUnavailable):
            keyring.active("acme", "default")
        return True

    assert in_child(expires)


def test_what_a_child_writes_the_parent_reads(world: World) -> None:
    from vaultdb.crypto.associated_data import ColumnIdentity

    column = ColumnIdentity("app.patient.ssn", "str")
    world.create("acme")
    keyring = world.keyring()
    key = keyring.active("acme", "default")
    read_end, write_end = os.pipe()

    def write() -> bool:
        os.write(write_end, key.encrypt(column, b"from the child", b"", os.urandom(12)))
        return True

    assert in_child(write)
    os.close(write_end)
    envelope = os.read(read_end, 4096)
    os.close(read_end)
    assert key.decrypt(column, envelope, b"") == b"from the child"
