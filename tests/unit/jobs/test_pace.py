"""The throttle: a rate, batches that shrink and grow, and how old a replica's position is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.work.dead_rows import DeadRows
from vaultdb.jobs.work.pace import SLOW, SMALLEST_BATCH, Pace
from vaultdb.jobs.work.replica_lag import ReplicaLag
from vaultdb.jobs.work.throttle import BATCH_ROWS


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Primary:
    """Answers the one question that is asked."""

    def __init__(self, written: int = 0, replayed: int | None = 0, replicas: int = 1) -> None:
        self.written, self.replayed, self.replicas, self.sees = written, replayed, replicas, True

    def execute(self, _statement: object) -> SimpleNamespace:
        return SimpleNamespace(one=lambda: self)

    def scalar(self, _statement: object) -> str:
        return "the_rotator"


def test_a_rate_is_kept_over_many_batches() -> None:
    clock = Clock()
    pace = Pace(max_rows_per_second=1_000, clock=clock)
    done = 0
    while clock.now < 160:
        seconds = pace.before_batch(None)  # type: ignore[arg-type]
        if seconds > 0:
            clock.now += seconds
            continue
        pace.after_batch(pace.batch_size, 0.01)
        done += pace.batch_size
        clock.now += 0.01
    assert 55_000 <= done <= 61_000


def test_a_wait_is_not_made_up_for_by_more_than_a_second_of_rows() -> None:
    clock = Clock()
    pace = Pace(max_rows_per_second=500, clock=clock)
    clock.now += 3_600
    assert pace.before_batch(None) == 0.0  # type: ignore[arg-type]
    pace.after_batch(500, 0.01)
    assert pace.before_batch(None) == pytest.approx(1.0)  # type: ignore[arg-type]


def test_slow_batches_get_smaller_and_quick_ones_larger_again() -> None:
    pace = Pace()
    assert pace.batch_size == BATCH_ROWS
    sizes = []
    for _ in range(5):
        pace.after_batch(pace.batch_size, SLOW * 2)
        sizes.append(pace.batch_size)
    assert sizes == [1_000, 500, 250, SMALLEST_BATCH, SMALLEST_BATCH]
    for _ in range(40):
        pace.after_batch(pace.batch_size, 0.01)
    assert pace.batch_size == BATCH_ROWS


@pytest.mark.parametrize("limits", [{"max_lag": 0}, {"max_rows_per_second": -1}])
def test_limits_that_nothing_could_keep_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="more than 0"):
        Pace(**limits)


def test_lag_is_the_age_of_what_has_not_been_replayed() -> None:
    clock, primary = Clock(), Primary()
    lag = ReplicaLag(clock)

    def look(written: int, replayed: int) -> float:
        clock.now += 1
        primary.written, primary.replayed = written, replayed
        return lag.seconds(primary)  # type: ignore[arg-type]

    assert look(10, 10) == 0
    assert look(20, 20) == 0
    assert [look(30 + n, 20) for n in range(4)] == [1, 2, 3, 4]  # stands still
    assert look(40, 31) == pytest.approx(3)  # what was written three seconds ago is next
    assert look(40, 40) == 0
    assert look(40, 40) == 0


def test_a_primary_without_replicas_has_no_lag() -> None:
    assert ReplicaLag(Clock()).seconds(Primary(9, None, replicas=0)) == 0.0  # type: ignore[arg-type]


def test_who_may_not_see_replicas_is_told_the_remedy() -> None:
    primary = Primary(9, None)
    primary.sees = False
    with pytest.raises(ConfigurationError, match=r"the_rotator .* grants it pg_read_all_stats"):
        Pace(max_lag=1.0).before_batch(primary)  # type: ignore[arg-type]


class Table:
    """A table as the statistics show it."""

    def __init__(self) -> None:
        self.live, self.dead, self.vacuumed, self.naptime = 1_000_000, 0, True, 60.0

    def execute(self, _statement: object, _values: object) -> SimpleNamespace:
        return SimpleNamespace(one=lambda: self)


def test_workers_wait_for_autovacuum_from_a_bound_on() -> None:
    clock, table = Clock(), Table()
    dead_rows = DeadRows("t", 0.5, clock=clock)

    def waits(dead: int) -> bool:
        clock.now += 1
        table.dead = dead
        return dead_rows.is_too_many(table)  # type: ignore[arg-type]

    assert [waits(499_000), waits(501_000), waits(501_000), waits(30_000)] == [
        False,
        True,
        True,
        False,
    ]


def test_nobody_waits_for_vacuum_for_ever() -> None:
    clock, table = Clock(), Table()
    dead_rows = DeadRows("t", 0.5, clock=clock)
    table.dead, waited = 600_000, 0
    while dead_rows.is_too_many(table):  # type: ignore[arg-type]
        clock.now += 1
        waited += 1
        assert waited < 300
    assert waited > 120
    clock.now += 1
    table.dead = 1_000_000  # another slice may follow what does not vanish
    assert not dead_rows.is_too_many(table)  # type: ignore[arg-type]
    clock.now += 1
    table.dead = 1_200_000
    assert dead_rows.is_too_many(table)  # type: ignore[arg-type]


@pytest.mark.parametrize(("live", "vacuumed"), [(1_000, True), (1_000_000, False)])
def test_small_tables_and_those_that_nobody_vacuums_are_not_waited_for(
    live: int, vacuumed: bool
) -> None:
    table = Table()
    table.live, table.vacuumed = live, vacuumed
    table.dead = 99_000 if vacuumed else 10**9
    assert not DeadRows("t", 0.5, clock=Clock()).is_too_many(table)  # type: ignore[arg-type]
