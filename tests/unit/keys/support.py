"""A keyring whose clock, provider and store do what a test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from uuid import UUID

from vaultdb.errors import KeyringError
from vaultdb.keys import (
    Keyring,
    KeyScope,
    KeyState,
    MemoryKeyStore,
    Purpose,
    WrappedKey,
    create_key,
    next_version,
)
from vaultdb.vault.providers.memory import MemoryProvider

REALM = UUID("6f1d0c5e-7d5c-4a39-9a2e-0e5b7b7d3a11")


class FakeClock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Provider(MemoryProvider):
    """Memory keys, with calls counted and trouble on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.trouble: Exception | None = None
        self.item_trouble: dict[bytes, KeyringError] = {}
        self.before_unwrap: Callable[[Sequence[tuple[str, bytes]]], None] = lambda _: None
        self.closed = False

    def unwrap(self, keys: Sequence[tuple[str, bytes]]) -> list[bytes | KeyringError]:
        self.batches.append(len(keys))
        self.before_unwrap(keys)
        if self.trouble is not None:
            raise self.trouble
        results = super().unwrap(keys)
        return [
            self.item_trouble.get(context, result)
            for (_, context), result in zip(keys, results, strict=True)
        ]

    def create(self, context: bytes) -> tuple[bytes, str, int]:
        if self.trouble is not None:
            raise self.trouble
        return super().create(context)

    def close(self) -> None:
        self.closed = True


class Store(MemoryKeyStore):
    """A key table in memory, with queries counted and trouble on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = 0
        self.trouble: Exception | None = None

    def by_ids(self, realm: UUID, key_ids: Collection[bytes]) -> Sequence[WrappedKey]:
        self._count()
        return super().by_ids(realm, key_ids)

    def by_scopes(self, realm: UUID, scopes: Collection[KeyScope]) -> Sequence[WrappedKey]:
        self._count()
        return super().by_scopes(realm, scopes)

    def _count(self) -> None:
        self.queries += 1
        if self.trouble is not None:
            raise self.trouble

    def set_state(self, row: WrappedKey, state: KeyState) -> None:
        self.replace(replace(row, state=state))


class World:
    """A provider, a store and keyrings over them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.provider = Provider()
        self.store = Store()

    def keyring(self, **options: object) -> Keyring:
        values: dict[str, object] = {
            "realm": REALM,
            "provider": self.provider,
            "store": self.store,
            "_clock": self.clock,
            "_jitter": lambda: 1.0,
        }
        return Keyring(**(values | options))  # type: ignore[arg-type]

    def create(
        self,
        tenant: str = "",
        keyset: str = "default",
        purpose: Purpose = Purpose.DATA,
        count: int = 1,
    ) -> WrappedKey:
        """Create the next version, or several; return the row of the last one."""
        scope = KeyScope(tenant, keyset, purpose)
        for _ in range(count):
            version = next_version(MemoryKeyStore.by_scopes(self.store, REALM, [scope]))
            row = create_key(self.provider, self.store, REALM, scope, version)
        return row


def scopes_of(count: int) -> list[KeyScope]:
    return [KeyScope(f"tenant-{number}", "default", Purpose.DATA) for number in range(count)]


def in_threads(count: int, work: Callable[[int], object]) -> list[object]:
    """Run `work` in threads that start together; return results or exceptions, in order."""
    results: list[object] = [None] * count
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Wait for a background thread to make it true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return condition()
