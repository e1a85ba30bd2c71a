"""Processes that share an engine across a fork, as under gunicorn's preload and Celery's prefork."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vaultdb
from tests.fixtures.postgres import Database
from vaultdb.keys.keyring import Keyring

WORKERS = 4
ROUNDS = 10


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = vaultdb.encrypted(str)


@pytest.fixture
def engine(database: Database, keyring: Keyring) -> Iterator[Engine]:
    database.create_all(Base.metadata)
    engine = vaultdb.create_engine(database.url, keyring=keyring)
    yield engine
    engine.dispose()


def write_and_read(engine: Engine) -> None:
    for number in range(ROUNDS):
        with Session(engine) as session:
            session.add(note := Note(body=f"{os.getpid()}-{number}"))
            session.commit()
            session.refresh(note)
            assert note.body == f"{os.getpid()}-{number}"


def fork(work: Callable[[], None]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork of a threaded process
        pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def test_workers_forked_from_a_process_that_has_used_the_engine_work_beside_it(engine: Engine):
    """The parent's connections are pooled when it forks; each worker opens its own."""
    write_and_read(engine)
    workers = [fork(lambda: write_and_read(engine)) for _ in range(WORKERS)]
    write_and_read(engine)
    assert [os.waitpid(worker, 0)[1] for worker in workers] == [0] * WORKERS
    write_and_read(engine)
    with Session(engine) as session:
        assert len(session.scalars(select(Note.body)).all()) == ROUNDS * (WORKERS + 3)


def test_a_child_keeps_the_keys_of_its_parent(engine: Engine, keyring: Keyring):
    write_and_read(engine)
    calls = keyring.counters.provider_calls

    def work() -> None:
        write_and_read(engine)
        assert keyring.counters.provider_calls == calls

    assert os.waitpid(fork(work), 0)[1] == 0
