"""The jobs in PostgreSQL: started once, paused, resumed and cancelled by anybody who may."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from vaultdb.db.failures import plain_failures
from vaultdb.db.schema import job_chunk_table as chunks
from vaultdb.db.schema import job_quarantine_table as quarantine
from vaultdb.db.schema import job_table as table
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.work.job import Job, JobState, Progress
from vaultdb.jobs.work.split import Split
from vaultdb.jobs.work.task import Key, Quarantined, Span

_PROGRESS = text(shipped_sql("vaultdb.jobs.work", "progress"))
_NEXT_PASS = text(shipped_sql("vaultdb.jobs.work", "next_pass"))
_OPEN = [state.value for state in JobState if state.is_open]


class JobStore:
    """Jobs and their chunks, by a login with the rotator capability.

    Args:
        engine: plain, without encrypted columns.

    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def start(
        self,
        kind: str,
        target: str,
        spec: Mapping[str, Any],
        *,
        split: Callable[[Connection], Split] | None = None,
    ) -> Job:
        """Start a job, or join the one of the same kind and target that is not over.

        Args:
            kind: which task, as registered.
            target: what it works on; part of what makes two jobs the same.
            spec: what the task is told: names and options, never a key or a value.
            split: cuts the table into chunks, for a new job only; by default one chunk of all rows.

        """
        values = {"kind": kind, "target": target, "spec": dict(spec)}
        with self._begin("start the job") as connection:
            # A job that ends between the two statements makes room for a new one.
            while (found := self._open_job(connection, kind, target)) is None:
                statement = upsert(table).values(values).on_conflict_do_nothing()
                new = connection.execute(statement.returning(table.c.id)).scalar()
                if new is not None:
                    _add_chunks(connection, new, split(connection) if split else Split((Span(),)))
                    return _job(connection, new)
            return found

    def get(self, job_id: int) -> Job:
        """Return a job.

        Raises:
            ConfigurationError: there is none of this number.

        """
        with self._begin("read the job") as connection:
            return _job(connection, job_id)

    def list(self, *, open_only: bool = False) -> Sequence[Job]:
        """Return all jobs, newest first."""
        statement = select(table).order_by(table.c.id.desc())
        if open_only:
            statement = statement.where(table.c.state.in_(_OPEN))
        with self._begin("list the jobs") as connection:
            return [_job_of(row) for row in connection.execute(statement)]

    def pause(self, job_id: int) -> Job:
        """Let workers stop after their batch; a job that is paused already stays so."""
        return self._change(job_id, JobState.RUNNING, JobState.PAUSED)

    def resume(self, job_id: int) -> Job:
        """Let workers take chunks again."""
        return self._change(job_id, JobState.PAUSED, JobState.RUNNING)

    def cancel(self, job_id: int) -> Job:
        """Let workers stop after their batch, for good; what was changed stays changed."""
        with self._begin("cancel the job") as connection:
            _set_state(connection, job_id, _OPEN, JobState.CANCELLED)
            return _expect(_job(connection, job_id), JobState.CANCELLED)

    def progress(self, job_id: int) -> Progress:
        """Tell how far a job has come, without looking at the table itself."""
        with self._begin("read the job's progress") as connection:
            row = connection.execute(_PROGRESS, {"job": job_id}).one_or_none()
        if row is None:
            raise _unknown(job_id)
        return _progress(row)

    def quarantined(self, job_id: int, limit: int | None = None) -> Sequence[Quarantined]:
        """Return the values that the last pass could not deal with, oldest first."""
        c = quarantine.c
        statement = select(c.row_key, c.column_name, c.reason).where(c.job == job_id)
        with self._begin("read the quarantine") as connection:
            rows = connection.execute(statement.order_by(c.seen_at).limit(limit)).all()
        return [Quarantined(tuple(key), column, reason) for key, column, reason in rows]

    def _change(self, job_id: int, before: JobState, after: JobState) -> Job:
        with self._begin("change the job") as connection:
            _set_state(connection, job_id, [before.value], after)
            return _expect(_job(connection, job_id), after)

    def _open_job(self, connection: Connection, kind: str, target: str) -> Job | None:
        same = (table.c.kind == kind, table.c.target == target, table.c.state.in_(_OPEN))
        row = connection.execute(select(table).where(*same)).one_or_none()
        return None if row is None else _job_of(row)

    @contextmanager
    def _begin(self, doing: str) -> Iterator[Connection]:
        with plain_failures(doing), self.engine.begin() as connection:
            yield connection


def finish(connection: Connection, job_id: int) -> None:
    """Say that nothing is left to do."""
    _set_state(connection, job_id, [JobState.RUNNING.value], JobState.FINISHED)


def next_pass(connection: Connection, job_id: int) -> None:
    """Have all chunks gone through once more; what is still bad is put into quarantine again."""
    connection.execute(delete(quarantine).where(quarantine.c.job == job_id))
    connection.execute(_NEXT_PASS, {"job": job_id})
    statement = update(table).where(table.c.id == job_id)
    connection.execute(statement.values(passes=table.c.passes + 1))


def unfinished_chunks(connection: Connection, job_id: int) -> int:
    """Count the chunks of this pass that are not done."""
    statement = select(func.count()).where(chunks.c.job == job_id, chunks.c.finished_at.is_(None))
    return int(connection.scalar(statement) or 0)


def quarantined_rows(connection: Connection, job_id: int) -> int:
    """Count the rows that have a value in quarantine."""
    rows = select(quarantine.c.row_key).where(quarantine.c.job == job_id).distinct().subquery()
    return int(connection.scalar(select(func.count()).select_from(rows)) or 0)


def put_into_quarantine(connection: Connection, job_id: int, found: Sequence[Quarantined]) -> None:
    """Remember values that could not be dealt with, once each."""
    if not found:
        return
    rows = [
        {"job": job_id, "row_key": list(bad.key), "column_name": bad.column, "reason": bad.reason}
        for bad in found
    ]
    statement = upsert(quarantine)
    key = [quarantine.c.job, quarantine.c.row_key, quarantine.c.column_name]
    changed = {"reason": statement.excluded.reason, "seen_at": func.now()}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)


def _add_chunks(connection: Connection, job_id: int, split: Split) -> None:
    rows = [
        {"job": job_id, "number": number, "lower": _json(span.after), "upper": _json(span.upto)}
        for number, span in enumerate(split.spans)
    ]
    connection.execute(insert(chunks), rows)
    statement = update(table).where(table.c.id == job_id)
    connection.execute(statement.values(estimated_rows=split.estimated_rows))


def _json(key: Key | None) -> list[str] | None:
    return None if key is None else list(key)


def _set_state(connection: Connection, job_id: int, before: Sequence[str], after: JobState) -> None:
    statement = update(table).where(table.c.id == job_id, table.c.state.in_(before))
    connection.execute(statement.values(state=after.value, changed_at=func.clock_timestamp()))


_DONE = {JobState.RUNNING: "resumed"}


def _expect(job: Job, state: JobState) -> Job:
    if job.state is not state:
        raise ConfigurationError(
            f"job {job.id} is {job.state}, so it cannot be {_DONE.get(state, state)}; look at:"
            f" vaultdb jobs status {job.id}"
        )
    return job


def _job(connection: Connection, job_id: int) -> Job:
    row = connection.execute(select(table).where(table.c.id == job_id)).one_or_none()
    if row is None:
        raise _unknown(job_id)
    return _job_of(row)


def _job_of(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        target=row.target,
        spec=row.spec,
        state=JobState(row.state),
        passes=row.passes,
        estimated_rows=row.estimated_rows,
        created_by=row.created_by,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def _progress(row: Row[Any]) -> Progress:
    per_chunk = row.estimated_rows / max(row.chunks, 1)
    done = row.finished * per_chunk
    if row.passes == 0:
        done += min(float(row.seen_open), per_chunk * (row.chunks - row.finished))
    workers, seconds = int(row.workers), float(row.seconds)
    rate = done / seconds * max(workers, 1) if seconds > 0 else 0.0
    left = max(0.0, row.estimated_rows - done)
    return Progress(
        done=int(done),
        estimated=row.estimated_rows,
        changed=int(row.changed),
        conflicts=int(row.conflicts),
        quarantined=row.quarantined,
        chunks=row.chunks,
        finished_chunks=row.finished,
        workers=workers,
        rate=rate,
        eta=left / rate if rate > 0 else None,
    )


def _unknown(job_id: int) -> ConfigurationError:
    return ConfigurationError(f"there is no job {job_id}; look at: vaultdb jobs list")
