"""What a job does to rows; everything that survives a crash is the engine's business.

A task is idempotent: rows that were dealt with are not found again, so a batch that is repeated
after a crash does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData

    from vaultdb.jobs.work.job import Job
    from vaultdb.jobs.work.throttle import Throttle
    from vaultdb.keys.keyring import Keyring
    from vaultdb.settings import Settings

Key = tuple[str, ...]
"""The primary key of a row, each column in PostgreSQL's text form, in the key's order."""


@dataclass(frozen=True, slots=True)
class Span:
    """The rows whose primary key lies between two keys, in the order of the columns' collations.

    Args:
        after: exclusive; None is the table's beginning.
        upto: inclusive; None is the table's end, also for rows that are added later.

    """

    after: Key | None = None
    upto: Key | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A value that a job could not deal with and left as it was.

    Args:
        key: of the row.
        column: the column's name in the database; "" when it is the row as a whole.
        reason: a code such as `bad tag`; never a value.

    """

    key: Key
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of the next rows of a span.

    Args:
        last: the key up to which the span is dealt with; None when nothing is left in it.
        seen: rows that needed work.
        changed: rows that were changed.
        conflicts: rows that somebody else had locked or changed; a later pass finds them.
        quarantined: values that were left as they are.

    """

    last: Key | None
    seen: int = 0
    changed: int = 0
    conflicts: int = 0
    quarantined: tuple[Quarantined, ...] = ()


class Task(Protocol):
    """What a job does to the rows of one table."""

    def batch(self, connection: Connection, span: Span, limit: int) -> Batch:
        """Deal with the next rows of a span.

        Args:
            connection: in the transaction that also stores the checkpoint.
            span: what is left of the chunk.
            limit: how many rows that need work, at most.

        """
        ...

    def remaining(self, connection: Connection) -> int:
        """Count the rows that still need work, by SQL and without decrypting.

        Quarantined rows are among them: they still need work.
        """
        ...


@runtime_checkable
class ReadsAhead(Task, Protocol):
    """A task that can read and compute the next batch while the server stores this one."""

    def prepare(self, connection: Connection, span: Span, limit: int) -> Any:
        """Read the next rows of a span and compute what is to be stored.

        Args:
            connection: outside of the checkpoint's transaction; nothing is changed or locked.
            span: what is left of the chunk.
            limit: as for `batch`.

        """
        ...

    def send(self, connection: Connection, prepared: Any) -> Callable[[], Batch]:
        """Start to store what was prepared; return what waits for it.

        Args:
            connection: in the checkpoint's transaction.
            prepared: from `prepare`, perhaps of a while ago: a row that has changed since is a
                conflict.

        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Tools:
    """What a worker works with; made by each worker for itself, never a part of a job.

    Args:
        metadata: today's models.
        keyring: of the role that re-encrypts; None for tasks that need no key.
        settings: of the same role.
        engine: logs in with the rotator capability; plain, without encrypted columns.
        throttle: asked before each batch.

    """

    metadata: MetaData
    keyring: Keyring | None
    settings: Settings | None
    engine: Engine
    throttle: Throttle


TaskFactory = Callable[["Job", Tools], Task]
