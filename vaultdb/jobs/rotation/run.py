"""Give data keys a new version and bring every row under it, from any point where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from vaultdb.db.failures import plain_failures
from vaultdb.db.key_states import KeyStates
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.keys import ensure_keks
from vaultdb.jobs.rotation.ages import ages
from vaultdb.jobs.rotation.index_keys import seconds_until_known
from vaultdb.jobs.rotation.plan import RowsPlan, plan_rows
from vaultdb.jobs.rotation.promoting import incomplete
from vaultdb.jobs.rotation.restricting import Superseded, restrict_superseded
from vaultdb.jobs.rotation.rows import reencrypt
from vaultdb.keys.creation import create_key, create_keys
from vaultdb.keys.wrapped_key import KeyState, Purpose

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table

    from vaultdb.jobs.rotation.data_keys import ScopePlan
    from vaultdb.jobs.rotation.logins import Logins
    from vaultdb.jobs.rotation.selection import Selection
    from vaultdb.jobs.work.job import Job, JobResult, Progress
    from vaultdb.jobs.work.runner import Opener
    from vaultdb.keys.wrapped_key import KeyScope, WrappedKey

CREATED_AT_ONCE = 500
"""Data keys per transaction; a killed run repeats at most these, under the same versions."""


class Told(Protocol):
    """Hears how a rotation goes on."""

    def made(self, keys: Sequence[WrappedKey]) -> None:
        """Hear that new versions are in the key table."""
        ...

    def worked(self, job: Job, progress: Progress) -> None:
        """Hear how far a job has come."""
        ...

    def ended(self, table: str, result: JobResult) -> None:
        """Hear that a job is over, or stands still."""
        ...

    def waits(self, seconds: float) -> None:
        """Hear that it is waited until every process knows the new keys."""
        ...

    def promoted(self, keys: Sequence[WrappedKey]) -> None:
        """Hear which index keys write what is searched from now on."""
        ...


@dataclass(frozen=True, slots=True)
class How:
    """How a rotation works.

    Args:
        workers: that re-encrypt at once.
        waits: whether to wait until every process has heard of new keys.
        ttl: the hard lifetime of keys in the keyring of every process, in seconds.

    """

    workers: int = 1
    waits: bool = True
    ttl: float = 900.0


@dataclass(slots=True)
class Rotated:
    """What was done, and what is left.

    Args:
        made: new versions.
        promoted: index keys that write what is searched from now on.
        jobs: by table, the last job's result.
        superseded: what became of older versions.
        seconds_left: until every process has heard of the new keys; 0.0 when that has passed.
        problem: what keeps index keys from being promoted.

    """

    made: list[WrappedKey] = field(default_factory=list)
    promoted: list[WrappedKey] = field(default_factory=list)
    jobs: dict[str, JobResult] = field(default_factory=dict)
    superseded: Superseded = field(default_factory=Superseded)
    seconds_left: float = 0.0
    problem: str | None = None

    @property
    def is_stuck(self) -> bool:
        """Whether a job has ended with rows left, or was stopped."""
        stuck = any(result.remaining != 0 for result in self.jobs.values())
        return stuck or self.problem is not None


class RowRotation:
    """The half of a rotation that makes data keys and re-encrypts rows.

    Args:
        logins: of every role.
        metadatas: the models.
        selection: what is meant.
        how: how it is done.
        tools_of: gives for a table what opens a worker's tools; can be pickled.
        told: hears of progress.

    """

    def __init__(
        self,
        logins: Logins,
        metadatas: Sequence[MetaData],
        selection: Selection,
        how: How,
        *,
        tools_of: Callable[[Table], Opener],
        told: Told,
    ) -> None:
        self._logins = logins
        self._metadatas = metadatas
        self._selection = selection
        self._how = how
        self._tools_of = tools_of
        self._told = told
        self._realm = logins.load("rotator").realm

    def plan(self, *, makes_keys: bool = True) -> RowsPlan:
        """Count the rows and decide what is to be done; changes nothing.

        Args:
            makes_keys: False leaves out the scopes that would get a new version.

        """
        with self._logins.store("rotator") as store:
            keys = store.all(self._realm)
        with self._logins.rows("count the rows under each key") as connection:
            return plan_rows(
                connection, self._metadatas, keys, self._selection, makes_keys=makes_keys
            )

    def run(self, agreed: RowsPlan, *, makes_keys: bool = True) -> Rotated:
        """Carry out a plan.

        Args:
            agreed: from `plan`.
            makes_keys: whether new versions are made; rotations that are unfinished are finished
                all the same.

        Raises:
            KeyUnavailable: Vault or PostgreSQL went away for too long; run again to go on.
            KeyDenied: a role may not do its part.

        """
        done = Rotated()
        if makes_keys:
            self._make(agreed.new_versions, done)
        self._reencrypt_all(done)
        if self._wait(done) and self._left().rows:
            self._reencrypt_all(done)
        if done.seconds_left <= 0 and self._promote(done):
            self._reencrypt_all(done)
            self._wait(done)
        self._restrict(done)
        return done

    def promote(self) -> list[WrappedKey]:
        """Let incoming index keys write what is searched, once their second columns are complete.

        Raises:
            ConfigurationError: a process may not have heard of them yet, or rows are left.

        """
        seconds = self._seconds_until_known(self._left().scopes)
        if seconds > 0:
            raise ConfigurationError(
                f"a process may not know the incoming index key for another {seconds:.0f} s: wait,"
                " or it would miss rows"
            )
        done = Rotated()
        self._promote(done)
        if done.problem is not None:
            raise ConfigurationError(done.problem)
        return done.promoted

    def _make(self, plans: Sequence[ScopePlan], done: Rotated) -> None:
        if not plans:
            return
        self._check_keks([each.scope for each in plans])
        with self._logins.provider("officer") as provider, self._logins.store("officer") as store:
            ensure_keks(provider, [each.scope for each in plans])
            data = [each for each in plans if each.scope.purpose is Purpose.DATA]
            for start in range(0, len(data), CREATED_AT_ONCE):
                wanted = [
                    (each.scope, each.newest.version + 1)
                    for each in data[start : start + CREATED_AT_ONCE]
                ]
                self._have_made(create_keys(provider, store, self._realm, wanted), done)
            for each in plans:
                if each.scope.purpose is Purpose.INDEX:
                    version = each.newest.version + 1
                    key = create_key(
                        provider, store, self._realm, each.scope, version, state=KeyState.INCOMING
                    )
                    self._have_made([key], done)

    def _check_keks(self, scopes: Sequence[KeyScope]) -> None:
        """Refuse tenants whose KEK is gone: who was shredded gets no new one by a rotation."""
        with self._logins.provider("reencryptor") as provider:
            for holder in {id(each): each for each in map(provider.for_scope, scopes)}.values():
                holder.check()

    def _have_made(self, keys: Sequence[WrappedKey], done: Rotated) -> None:
        done.made += keys
        self._told.made(keys)

    def _reencrypt_all(self, done: Rotated) -> None:
        for table in self._left().tables:
            if not table.rows:
                continue
            result = reencrypt(
                table,
                self._selection,
                self._tools_of(table.table),
                workers=self._how.workers,
                told=self._told.worked,
            )
            done.jobs[table.table.fullname] = result
            self._told.ended(table.table.fullname, result)

    def _left(self) -> RowsPlan:
        """Return what an unfinished rotation has left to do."""
        return self.plan(makes_keys=False)

    def _seconds_until_known(self, plans: Iterable[ScopePlan]) -> float:
        with self._logins.rows("read the age of the keys") as connection:
            aged = ages(connection, self._realm)
        return seconds_until_known((each.newest for each in plans), aged, self._how.ttl)

    def _wait(self, done: Rotated) -> bool:
        """Wait until every process knows the newest keys, and tell whether there was need to."""
        seconds = self._seconds_until_known(self._left().scopes)
        done.seconds_left = seconds
        if seconds <= 0:
            return False
        if not self._how.waits:
            return False
        self._told.waits(seconds)
        time.sleep(seconds)
        done.seconds_left = 0.0
        return True

    def _promote(self, done: Rotated) -> bool:
        left = self._left()
        incoming = [each.newest for each in left.index if each.is_incoming]
        if not incoming:
            return False
        with self._logins.rows("look at second index columns") as connection:
            done.problem = incomplete(connection, self._metadatas, left)
        if done.problem is not None:
            return False
        ids = [key.key_id for key in incoming]
        with (
            self._logins.store("rotator") as store,
            store.connection(self._realm, "promote index keys") as connection,
        ):
            changed = KeyStates(connection, self._realm).promote(ids)
        promoted = [key for key in incoming if key.key_id in changed]
        done.promoted += promoted
        self._told.promoted(promoted)
        return bool(promoted)

    def _restrict(self, done: Rotated) -> None:
        with self._logins.store("rotator") as store, plain_failures("restrict older keys"):
            with store.connection(self._realm, "read the age of the keys") as connection:
                aged = ages(connection, self._realm)
            left = self._left()
            with store.connection(self._realm, "restrict older keys") as connection:
                done.superseded = restrict_superseded(
                    connection, self._realm, left.scopes, left.found, aged, ttl=self._how.ttl
                )
