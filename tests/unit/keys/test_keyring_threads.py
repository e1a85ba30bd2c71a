"""Threads that share a keyring: each key is unwrapped once, and nobody waits for another's."""

from __future__ import annotations

import threading
import time

from tests.unit.keys.support import World, in_threads, scopes_of
from vaultdb.errors import DecryptionError


def test_a_hundred_threads_start_cold_with_one_unwrap(world: World) -> None:
    world.create("acme")
    world.provider.before_unwrap = lambda _: time.sleep(0.05)
    keyring = world.keyring()
    keys = in_threads(100, lambda _: keyring.active("acme", "default"))
    assert len({id(key) for key in keys}) == 1
    assert world.provider.batches == [1]
    assert world.store.queries == 1


def test_a_hundred_threads_look_one_unknown_id_up_once(world: World) -> None:
    keyring = world.keyring()
    errors = in_threads(100, lambda _: keyring.get(b"?" * 16))
    assert {type(error) for error in errors} == {DecryptionError}
    assert world.store.queries == 1


def test_a_hundred_threads_with_overlapping_loads_unwrap_each_key_once(world: World) -> None:
    scopes = scopes_of(100)
    for scope in scopes:
        world.create(scope.tenant)
    keyring = world.keyring()
    results = in_threads(100, lambda n: keyring.load(scopes[n : n + 10]))
    assert results == [None] * 100
    assert sum(world.provider.batches) == 100


def test_a_slow_key_does_not_delay_another(world: World) -> None:
    slow, quick = world.create("slow"), world.create("quick")
    release = threading.Event()

    def hold_slow(keys: object) -> None:
        if any(context == slow.context() for _, context in keys):  # type: ignore[attr-defined]
            release.wait(10)

    world.provider.before_unwrap = hold_slow
    keyring = world.keyring()
    waiting = threading.Thread(target=lambda: keyring.active("slow", "default"))
    waiting.start()
    assert keyring.active("quick", "default").key_id == quick.key_id
    assert waiting.is_alive()
    release.set()
    waiting.join(10)
    assert keyring.active("slow", "default").key_id == slow.key_id


def test_flushing_under_load_fails_nobody(world: World) -> None:
    row = world.create("acme")
    keyring = world.keyring()
    stop = threading.Event()

    def flush() -> None:
        while not stop.wait(0.0005):
            keyring.flush()

    flusher = threading.Thread(target=flush)
    flusher.start()

    def use(_: int) -> None:
        for _ in range(100):
            assert keyring.active("acme", "default").version == 1
            assert keyring.get(row.key_id).version == 1

    try:
        assert in_threads(4, use) == [None] * 4
    finally:
        stop.set()
        flusher.join()


def test_a_key_inserted_during_a_read_is_found_all_the_same(world: World) -> None:
    """The look-up by id joins a read that started before the key was there, and reads again."""
    world.create("acme")
    keyring = world.keyring()
    reading, inserted = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        if not inserted.is_set():
            reading.set()
            inserted.wait(10)

    world.provider.before_unwrap = hold
    reader = threading.Thread(target=lambda: keyring.active("acme", "default"))
    reader.start()
    reading.wait(10)
    newer = world.create("acme")
    found: list[object] = []
    finder = threading.Thread(target=lambda: found.append(keyring.get(newer.key_id)))
    finder.start()
    time.sleep(0.1)  # let it join the read
    inserted.set()
    reader.join(10)
    finder.join(10)
    assert [key.version for key in found] == [2]  # type: ignore[attr-defined]
