"""What workers in processes of their own log is heard by the process that started them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.work.runner import _Processes
from vaultdb.jobs.work.worker import Patience

LINES = 2_000
"""Together more than a pipe holds."""


@contextmanager
def _cannot_open() -> Iterator[None]:
    logging.getLogger("vaultdb.jobs").warning("job %d waits", 7)
    raise ConfigurationError("no tools")
    yield


@contextmanager
def _has_much_to_say() -> Iterator[None]:
    for number in range(LINES):
        logging.getLogger("vaultdb.vault").warning("%s %d", "x" * 100, number)
    raise ConfigurationError("no tools")
    yield


def test_a_worker_warns_where_its_parent_logs(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError, match="no tools"):
        _Processes(1, _cannot_open, Patience()).run(1, lambda: None)
    assert ("vaultdb.jobs", logging.WARNING, "job 7 waits") in caplog.record_tuples


def test_a_worker_that_has_much_to_say_does_not_hold_up_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _Processes(1, _has_much_to_say, Patience()).run(1, stop)
    assert len(caplog.records) > LINES // 2


def test_a_worker_says_everything_before_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError):
        _Processes(1, _has_much_to_say, Patience()).run(1, lambda: None)
    assert len(caplog.records) == LINES
