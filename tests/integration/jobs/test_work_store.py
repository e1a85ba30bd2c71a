"""Jobs are started once, and paused, resumed and cancelled by whoever may."""

from __future__ import annotations

import pytest

from vaultdb.errors import ConfigurationError
from vaultdb.jobs.work.job import JobState
from vaultdb.jobs.work.split import Split
from vaultdb.jobs.work.task import Span


def test_a_job_that_is_started_twice_is_one(store):
    first = store.start("counting", "app.patient", {"table": "app.patient"})
    second = store.start("counting", "app.patient", {"table": "other"})
    assert second == first
    assert store.list() == [first]


def test_a_job_that_is_over_makes_room_for_another(store):
    first = store.start("counting", "app.patient", {})
    store.cancel(first.id)
    assert store.start("counting", "app.patient", {}).id != first.id
    assert len(store.list(open_only=True)) == 1


def test_a_job_is_paused_and_resumed(store):
    job = store.start("counting", "t", {})
    assert store.pause(job.id).state is JobState.PAUSED
    assert store.pause(job.id).state is JobState.PAUSED
    assert store.resume(job.id).state is JobState.RUNNING


def test_a_cancelled_job_stays_cancelled(store):
    job = store.start("counting", "t", {})
    store.cancel(job.id)
    with pytest.raises(ConfigurationError, match=f"job {job.id} is cancelled, so it cannot be"):
        store.resume(job.id)


def test_a_job_that_does_not_exist_is_named(store):
    with pytest.raises(ConfigurationError, match="there is no job 4711; look at"):
        store.get(4711)
    with pytest.raises(ConfigurationError, match="there is no job 4711"):
        store.progress(4711)


def test_chunks_and_estimate_are_stored(store):
    spans = (Span(None, ("5",)), Span(("5",), None))
    job = store.start("counting", "t", {}, split=lambda _: Split(spans, 10))
    progress = store.progress(job.id)
    assert (progress.chunks, progress.estimated, progress.done) == (2, 10, 0)
    assert progress.eta is None
