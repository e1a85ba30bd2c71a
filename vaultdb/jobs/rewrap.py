"""Rotate the KEK and rewrap every DEK under it, in batches, safe to kill at any point.

A rewrap changes how a DEK is wrapped, never the DEK: no row of the application is touched. The
rotator never sees a DEK. Progress is the table itself (``kek_version``), so a run that was killed
is simply run again; as long as a key is still wrapped under an older KEK the earlier rotation is
taken to be unfinished and is finished, without rotating the KEK once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vaultdb.db.rewraps import RewrapTable
from vaultdb.errors import KeyringError
from vaultdb.keys.provider import BATCH_SIZE, KeyProvider
from vaultdb.keys.wrapped_key import WrappedKey

WORKERS = 4
"""Batches in flight: one waits for Vault while another waits for PostgreSQL's commit."""
PAGE_SIZE = WORKERS * BATCH_SIZE * 2
"""Keys read at a time."""

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
        progress: told about every batch.

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

    def one_batch(batch: Sequence[WrappedKey]) -> tuple[int, list[str]]:
        return _rewrap_batch(batch, provider, table)

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="vaultdb-rewrap") as workers:
        for page in _pages(version, table):
            batches = [page[i : i + BATCH_SIZE] for i in range(0, len(page), BATCH_SIZE)]
            for batch, (changed, failed) in zip(
                batches, workers.map(one_batch, batches), strict=True
            ):
                done += changed
                failures += failed
                progress(len(batch))
    return done, failures


def _pages(version: int, table: RewrapTable) -> Iterator[list[WrappedKey]]:
    after = b""
    while page := table.stale(version, after, PAGE_SIZE):
        yield page
        after = page[-1].key_id


def _rewrap_batch(
    batch: Sequence[WrappedKey], provider: KeyProvider, table: RewrapTable
) -> tuple[int, list[str]]:
    answers = provider.rewrap([(key.wrapped, key.context()) for key in batch])
    good = [
        (key, answer)
        for key, answer in zip(batch, answers, strict=True)
        if not isinstance(answer, KeyringError)
    ]
    failures = [
        f"{key.key_id.hex()}: {answer}"
        for key, answer in zip(batch, answers, strict=True)
        if isinstance(answer, KeyringError)
    ]
    changed = table.replace([key for key, _ in good], [answer for _, answer in good])
    return changed, failures
