"""Rotate the KEKs and rewrap every DEK under them, in chunks, safe to kill at any point.

A rewrap changes how a DEK is wrapped, never the DEK: no row of the application is touched. The
rotator never sees a DEK. Progress is the table itself (`kek_version`), so a run that was killed
is simply run again; as long as a key is still wrapped under an older KEK the earlier rotation is
taken to be unfinished and is finished, without rotating the KEK once more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from vaultdb.db.rewraps import RewrapTable
from vaultdb.errors import KeyringError
from vaultdb.jobs.keks import Kek, Keks, rotated, survey
from vaultdb.keys.provider import BATCH_SIZE, KekMissing, KeyProvider
from vaultdb.keys.unwrapping import chunks_by_kek
from vaultdb.keys.wrapped_key import WrappedKey

WORKERS = 4
"""Chunks in flight: some wait for Vault while others wait for PostgreSQL."""
CHUNK_SIZE = 5 * BATCH_SIZE
"""Keys per transaction, five requests to Vault. A killed run repeats at most `WORKERS` chunks."""

Progress = Callable[[int], None]
"""Called with the number of keys that were dealt with since the last call."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rotation will do."""

    kek_version: int
    """The realm's KEK's newest version now."""
    rotates: bool
    """Whether a new version is made first; not so when an earlier rotation is unfinished."""
    keys: int
    stale: int
    unverified: int
    tenants: tuple[Kek, ...] = ()
    """The KEKs of tenants that have keys under them, each with the same questions answered."""
    tenant: str | None = None
    """The only tenant whose keys are rewrapped."""
    rewraps: int = 0
    """How many DEKs will be rewrapped."""


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a rotation did."""

    kek_version: int
    rotated: bool
    rewrapped: int
    failures: tuple[str, ...]
    """One line for each key that the provider would not rewrap; it keeps its old wrapping."""
    tenant_keks_rotated: int = 0


def plan(
    provider: KeyProvider,
    table: RewrapTable,
    *,
    rotate: bool | None = None,
    tenant: str | None = None,
) -> Plan:
    """Look at the KEKs and the key table and decide what to do.

    Args:
        provider: the rotator's.
        table: the key table, by the rotator's login.
        rotate: True and False decide whether KEKs are rotated first; None rotates each one unless
            it has keys left from an earlier rotation.
        tenant: rewrap the keys of this tenant only, and rotate no KEK but its own.

    """
    keks = Keks.of(provider, table)
    uses = table.by_kek(keks.tenant_keysets, tenant)
    realms, *tenants = survey(keks, uses, rotate, realms=tenant is None)
    return Plan(
        realms.version,
        realms.rotates,
        keys=sum(kek.keys for kek in (realms, *tenants)),
        stale=sum(kek.stale for kek in (realms, *tenants)),
        unverified=sum(kek.unverified for kek in (realms, *tenants)),
        tenants=tuple(tenants),
        tenant=tenant,
        rewraps=sum(kek.rewraps for kek in (realms, *tenants)),
    )


def run(
    agreed: Plan, provider: KeyProvider, table: RewrapTable, *, progress: Progress | None = None
) -> Rewrapped:
    """Carry out a plan.

    Args:
        agreed: from `plan`, perhaps shown to somebody since.
        provider: the rotator's.
        table: the key table, by the rotator's login.
        progress: told about every chunk.

    Raises:
        KeyUnavailable: Vault or PostgreSQL went away; run again to go on.
        KeyDenied: the role may not rotate or rewrap.
        SchemaError: another rotation is running.

    """
    provider.check()
    with table.exclusively():
        keks = Keks.of(provider, table)
        realms = Kek(None, agreed.kek_version, agreed.rotates, agreed.keys, agreed.stale, 0)
        # All KEKs first: a run that is killed then leaves keys under an old version of each.
        ((_, version, is_new), *tenants) = rotated(keks, [realms, *agreed.tenants])
        own = frozenset(keks.tenant_keysets)
        versions = {kek.tenant: version for kek, version, _ in tenants if kek.tenant is not None}
        work = _Rewrap(provider, table, progress or (lambda _: None))
        work.take(table.stale(version, CHUNK_SIZE, tenant_keysets=own, tenant=agreed.tenant))
        if versions:
            work.take(table.stale_of_tenants(versions, CHUNK_SIZE, tenant_keysets=own))
    lost = [f"tenant {kek.tenant}: {kek.problem}" for kek in agreed.tenants if kek.problem]
    return Rewrapped(
        version,
        is_new,
        work.done,
        (*work.failures, *lost),
        tenant_keks_rotated=sum(new for _, _, new in tenants),
    )


class _Rewrap:
    """Rewraps chunks, some at once."""

    def __init__(self, provider: KeyProvider, table: RewrapTable, progress: Progress) -> None:
        self._provider = provider
        self._table = table
        self._progress = progress
        self.done = 0
        self.failures: list[str] = []

    def take(self, stale: Generator[list[WrappedKey], None, None]) -> None:
        """Rewrap all of these keys."""
        waiting: deque[Future[tuple[int, int, list[str]]]] = deque()
        with (
            closing(stale),
            ThreadPoolExecutor(WORKERS, thread_name_prefix="vaultdb-rewrap") as workers,
        ):
            for chunk in stale:
                waiting.append(workers.submit(_rewrap_chunk, chunk, self._provider, self._table))
                if len(waiting) > WORKERS:
                    self._collect(waiting.popleft())
            for future in waiting:
                self._collect(future)

    def _collect(self, future: Future[tuple[int, int, list[str]]]) -> None:
        read, changed, failed = future.result()
        self.failures += failed
        self._progress(read)
        self.done += changed


def _rewrap_chunk(
    chunk: Sequence[WrappedKey], provider: KeyProvider, table: RewrapTable
) -> tuple[int, int, list[str]]:
    """Rewrap a chunk; return how many were read and changed, and what failed."""
    keys: list[WrappedKey] = []
    new: list[tuple[str, int]] = []
    failures: list[str] = []
    for holder, batch in chunks_by_kek(provider, chunk):
        for key, answer in zip(batch, _rewrapped(holder, batch), strict=True):
            if isinstance(answer, KeyringError):
                failures.append(f"{key.key_id.hex()}: {answer}")
            else:
                keys.append(key)
                new.append(answer)
    return len(chunk), table.replace(keys, new), failures


def _rewrapped(
    holder: KeyProvider, batch: Sequence[WrappedKey]
) -> Sequence[tuple[str, int] | KeyringError]:
    try:
        return holder.rewrap([(key.wrapped, key.context()) for key in batch])
    except KekMissing as error:  # a tenant's, destroyed since; the others go on
        return [error] * len(batch)
