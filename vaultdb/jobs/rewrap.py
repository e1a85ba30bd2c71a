"""Rotate the KEK and rewrap every DEK under it, in chunks, safe to kill at any point.

A rewrap changes how a DEK is wrapped, never the DEK: no row of the application is touched. The
rotator never sees a DEK. Progress is the table itself (`kek_version`), so a run that was killed
is simply run again; as long as a key is still wrapped under an older KEK the earlier rotation is
taken to be unfinished and is finished, without rotating the KEK once more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from vaultdb.db.rewraps import RewrapTable
from vaultdb.errors import KeyringError
from vaultdb.keys.provider import BATCH_SIZE, KeyProvider
from vaultdb.keys.unwrapping import chunks
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
    """The KEK's newest version now."""
    rotates: bool
    """Whether a new version is made first; not so when an earlier rotation is unfinished."""
    keys: int
    stale: int
    unverified: int

    @property
    def rewraps(self) -> int:
        """How many DEKs will be rewrapped."""
        return self.keys if self.rotates else self.stale


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a rotation did."""

    kek_version: int
    rotated: bool
    rewrapped: int
    failures: tuple[str, ...]
    """One line for each key that the provider would not rewrap; it keeps its old wrapping."""


def plan(provider: KeyProvider, table: RewrapTable, *, rotate: bool | None = None) -> Plan:
    """Look at the KEK and the key table and decide what to do.

    Args:
        provider: the rotator's.
        table: the key table, by the rotator's login.
        rotate: True and False decide whether the KEK is rotated first; None rotates it unless
            keys are left from an earlier rotation.

    """
    version = provider.latest_version()
    survey = table.survey(version)
    rotates = survey.stale == 0 if rotate is None else rotate
    return Plan(version, rotates, survey.keys, survey.stale, survey.unverified)


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
        version = provider.latest_version()
        # Somebody else may have rotated since the plan was made: one rotation serves both.
        rotates = agreed.rotates and version == agreed.kek_version
        if rotates:
            version = provider.rotate()
        done, failures = _rewrap_all(version, provider, table, progress or (lambda _: None))
    return Rewrapped(version, rotates, done, tuple(failures))


def _rewrap_all(
    version: int, provider: KeyProvider, table: RewrapTable, progress: Progress
) -> tuple[int, list[str]]:
    done = 0
    failures: list[str] = []
    waiting: deque[Future[tuple[int, int, list[str]]]] = deque()
    with (
        closing(table.stale(version, CHUNK_SIZE)) as stale,
        ThreadPoolExecutor(WORKERS, thread_name_prefix="vaultdb-rewrap") as workers,
    ):
        for chunk in stale:
            waiting.append(workers.submit(_rewrap_chunk, chunk, provider, table))
            if len(waiting) > WORKERS:
                done += _collect(waiting.popleft(), failures, progress)
        for future in waiting:
            done += _collect(future, failures, progress)
    return done, failures


def _collect(
    future: Future[tuple[int, int, list[str]]], failures: list[str], progress: Progress
) -> int:
    read, changed, failed = future.result()
    failures += failed
    progress(read)
    return changed


def _rewrap_chunk(
    chunk: Sequence[WrappedKey], provider: KeyProvider, table: RewrapTable
) -> tuple[int, int, list[str]]:
    """Rewrap a chunk; return how many were read and changed, and what failed."""
    keys: list[WrappedKey] = []
    new: list[tuple[str, int]] = []
    failures: list[str] = []
    for batch in chunks(chunk):
        answers = provider.rewrap([(key.wrapped, key.context()) for key in batch])
        for key, answer in zip(batch, answers, strict=True):
            if isinstance(answer, KeyringError):
                failures.append(f"{key.key_id.hex()}: {answer}")
            else:
                keys.append(key)
                new.append(answer)
    return len(chunk), table.replace(keys, new), failures
