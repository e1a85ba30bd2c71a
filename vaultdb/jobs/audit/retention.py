"""Months of the log: made ahead, and dropped as a whole once they are past retention.

What is dropped had leaves below a signed checkpoint, and the leaves stay. So the tree still proves
that nothing else was taken away, and a copy of the month that was exported can still be checked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from time import sleep

from sqlalchemy import Connection, Engine, text

from vaultdb.audit.auditor import Auditor
from vaultdb.audit.event import Event
from vaultdb.audit.kinds import PARTITION_DROPPED
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.engine.auditing import operator
from vaultdb.errors import AuditUnavailable, ConfigurationError, VaultDBError
from vaultdb.jobs.audit.sequencer import Sequencer
from vaultdb.jobs.audit.sequencer_failures import log_failures
from vaultdb.jobs.audit.signing import CheckpointRefused, Signed
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.logs import AUDIT

AHEAD = 3
"""Months that are made ahead, beside this one: records without a month of their own go into a
default partition, and are moved later."""
UPKEEP_EVERY = 3600.0
"""Seconds between two looks of the sequencer."""
_WAIT = 10
"""Seconds to wait for another sequencer to sign an announcement."""

_LOCKS = text("SELECT pg_catalog.set_config('lock_timeout', '2s', true)")
_MAKE = text("SELECT vaultdb_audit.make_partitions(:months)")
_DROP = text("SELECT vaultdb_audit.drop_partition(:month, :upto)")
_MONTHS = text(shipped_sql("vaultdb.jobs.audit", "months"))
_COUNT = shipped_sql("vaultdb.jobs.audit", "count_month")


@dataclass(frozen=True, slots=True)
class Month:
    """One partition of the log.

    Args:
        name: of the table.
        month: its first day; None is the default partition, for what has no month of its own.
        rows: about how many records it has; -1 if PostgreSQL has not counted yet.
        size: bytes on disk, with indexes.

    """

    name: str
    month: date | None
    rows: int
    size: int

    def __str__(self) -> str:
        return self.month.strftime("%Y-%m") if self.month else "default"


@dataclass(frozen=True, slots=True)
class Dropping:
    """A month that can be dropped.

    Args:
        month: which.
        events: how many records it has.
        unsigned: how many of them have no leaf below the checkpoint; none may.

    """

    month: Month
    events: int
    unsigned: int


class Upkeep:
    """Makes partitions ahead, every hour; called by the sequencer at each step.

    Args:
        engine: of the sequencer's login.

    """

    def __init__(self, engine: Engine, *, _clock: Clock = BOOT_TIME) -> None:
        self._engine = engine
        self._clock = _clock
        self._next = -1.0

    def __call__(self) -> None:
        """Make them, if it is time; a failure is told and tried again an hour later."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + UPKEEP_EVERY
        try:
            make_ahead(self._engine, AHEAD)
        except VaultDBError as error:
            AUDIT.warning("cannot make partitions of the audit log ahead: %s", error)


def make_ahead(engine: Engine, months: int) -> int:
    """Make the partitions of this month and the next ones; return how many were made.

    Args:
        engine: of the sequencer's login.
        months: beside this one.

    Raises:
        AuditUnavailable: the server cannot be reached, or a lock is held for long.

    """
    with (
        log_failures("make partitions of the audit log"),
        engine.begin() as connection,
    ):
        connection.execute(_LOCKS)
        return int(connection.execute(_MAKE, {"months": months}).scalar_one())


def list_months(engine: Engine) -> list[Month]:
    """Return the partitions of the log, oldest first."""
    with (
        log_failures("list the partitions of the audit log"),
        engine.begin() as connection,
    ):
        return [Month(*row) for row in connection.execute(_MONTHS)]


def plan_drop(engine: Engine, before: date, upto: int) -> list[Dropping]:
    """Return the months before a day, oldest first, and what they hold.

    Args:
        engine: of the sequencer's login.
        before: the first day of the first month that stays.
        upto: the size of the newest checkpoint.

    Raises:
        CheckpointRefused: a month holds records that no checkpoint signs.

    """
    found = [each for each in list_months(engine) if each.month and each.month < before]
    with (
        log_failures("count the records of the audit log"),
        engine.begin() as connection,
    ):
        plan = [Dropping(month, *_count(connection, month, upto)) for month in found]
    for each in plan:
        if each.unsigned:
            raise CheckpointRefused(
                f"{each.unsigned:,} of {each.events:,} records of {each.month} have no leaf below"
                f" the checkpoint of size {upto:,}, so the month stays; run: vaultdb audit"
                " checkpoint --once, and if that does not help: vaultdb audit verify"
            )
    return plan


def announce(
    auditor: Auditor, sequencer: Sequencer, plan: Sequence[Dropping], upto: int
) -> Signed | None:
    """Record what will be dropped, and have that signed; return the checkpoint to be exported.

    Raises:
        AuditUnavailable: it could not be recorded or signed.

    """
    auditor.commit(
        *(
            Event(
                PARTITION_DROPPED,
                {"month": str(each.month), "events": each.events, "size": upto},
                operator(),
            )
            for each in plan
        )
    )
    for _ in range(_WAIT):
        step = sequencer.step()
        while step.is_behind:
            step = sequencer.step()
        if not step.is_busy:
            return step.signed
        sleep(1)
    raise AuditUnavailable("the announcement was not signed in time; look at the sequencer")


def drop(
    engine: Engine, plan: Sequence[Dropping], upto: int, *, done: Callable[[Dropping], None]
) -> None:
    """Drop the months, oldest first, each in a transaction of its own.

    Args:
        engine: of an administrator.
        plan: announced before.
        upto: the size of the checkpoint below which all of their records are.
        done: called after each month.

    Raises:
        ConfigurationError: the server refused it, and says why.

    """
    for each in plan:
        with (
            log_failures(f"drop {each.month} of the audit log"),
            engine.begin() as connection,
        ):
            connection.execute(_LOCKS)
            connection.execute(_DROP, {"month": each.month.month, "upto": upto})
        done(each)


def month_of(said: str) -> date:
    """Read a month such as 2026-03.

    Raises:
        ConfigurationError: it is none.

    """
    try:
        return date.fromisoformat(f"{said}-01")
    except ValueError:
        raise ConfigurationError("give a month such as 2026-03") from None


def _count(connection: Connection, month: Month, upto: int) -> tuple[int, int]:
    # The partition's bounds and not its name: the sequencer may read the whole table only.
    row = connection.execute(text(_COUNT), {"month": month.month, "upto": upto}).one()
    return int(row[0]), int(row[1])
