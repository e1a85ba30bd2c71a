"""What the audit log costs those who write and read, against the same work without a log.

Eight writers each insert a row with an encrypted value, in a transaction that takes 5 ms of the
database's time; in turns with every kind of log, once at a pace that leaves processors idle and once
without a pause. Beside them a sequencer signs the log each second, as it does in production. The
keys of the log are in OpenBao, data keys in memory and warm.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, sleep

from sqlalchemy import Connection, Engine, QueuePool, insert, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

import vaultdb
from tests.bench.audit_log import ACTING, READ
from tests.bench.database import Base
from tests.bench.report import Measurement, compare
from vaultdb import encrypted
from vaultdb.alembic.own import upgrade
from vaultdb.audit.auditor import AuditMode
from vaultdb.audit.chain import Chain
from vaultdb.audit.event import Event, Identity, timestamp
from vaultdb.audit.kinds import DATA_READ
from vaultdb.db.connect import new_engine
from vaultdb.dev.temporary import temporary_stack
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.settings import Settings
from vaultdb.vault.providers.memory import MemoryProvider

WRITERS = 8
SECONDS = 1.5
"""How long each kind of log is written in one round."""
PACE = 0.08
"""Seconds from one transaction of a writer to its next, at a pace that leaves processors idle."""
READS = 200
LINKED = 5_000
THROUGHPUT = 0.93
"""Wanted share of the speed without a log, while there is a processor for both."""

BUSINESS = text("SELECT pg_catalog.pg_sleep(0.005)")
ALONE = text("SELECT pg_catalog.pg_advisory_xact_lock(1)")
NEWEST = text("SELECT mac FROM bench_global_chain ORDER BY seq DESC LIMIT 1")
APPEND = text("INSERT INTO bench_global_chain (body, mac) VALUES (:body, :mac)")
SIZE = text("""
    SELECT sum(pg_catalog.pg_total_relation_size(c.oid))::int8
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'vaultdb_audit' AND c.relkind = 'r'
      AND (starts_with(c.relname, 'event') OR c.relname = 'leaf')
""")
COUNT = text("SELECT count(*) FROM vaultdb_audit.event")
PREPARE = """
    CREATE TABLE bench_global_chain (seq bigserial PRIMARY KEY, body text, mac bytea);
    GRANT SELECT, INSERT, UPDATE, DELETE ON audited TO vaultdb_rw;
    GRANT SELECT, INSERT ON bench_global_chain TO vaultdb_rw;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO vaultdb_rw;
"""

Write = Callable[[Engine], None]


class Audited(Base):
    """A key that the server makes, and one encrypted text."""

    __tablename__ = "audited"

    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str] = encrypted(str, bind="column")


def run(repetitions: int = 5) -> list[Measurement]:
    """Write in every way, read one row in strict mode, and look at one event."""
    with _databases() as (engines, administrator):
        writes = _writes(engines, repetitions)
        reads = _reads(engines, repetitions)
        for engine in engines.values():
            engine.dispose()
        with administrator.connect() as connection:
            size = connection.scalar(SIZE) / connection.scalar(COUNT)
    return [
        *writes,
        *reads,
        Measurement("make one event and link it, processor time", _linking(), "µs"),
        Measurement("one event in the database, with its leaf and indexes", size, "bytes"),
    ]


@contextlib.contextmanager
def _databases() -> Iterator[tuple[dict[AuditMode, Engine], Engine]]:
    """Start servers and a sequencer; give an engine for each mode, and the administrator's."""
    with temporary_stack() as stack, contextlib.ExitStack() as closing:
        file = stack.folder.settings
        migrator = Settings.load(file=file, role="migrator")
        upgrade(new_engine(migrator.database), realm=migrator.realm)
        administrator = new_engine(Settings.load(file=file, role="admin").database)
        closing.callback(administrator.dispose)
        owner = new_engine(migrator.database)
        Base.metadata.create_all(owner, [Base.metadata.tables["audited"]])
        owner.dispose()
        with administrator.begin() as connection:
            for statement in filter(str.strip, PREPARE.split(";")):
                connection.exec_driver_sql(statement)
        keyring = closing.enter_context(
            contextlib.closing(
                Keyring(
                    realm=migrator.realm,
                    provider=MemoryProvider(),
                    store=MemoryKeyStore(),
                    create_keys=True,
                )
            )
        )
        app = Settings.load(file=file)
        engines = {}
        for mode in AuditMode:
            audit = app.audit.model_copy(update={"mode": mode.value, "principal": "bench"})
            engines[mode] = vaultdb.create_engine(
                settings=app.model_copy(update={"audit": audit}),
                keyring=keyring,
                poolclass=QueuePool,
                pool_size=WRITERS,
            )
            closing.callback(engines[mode].dispose)
        with _sequencer(str(file)):
            yield engines, administrator


@contextlib.contextmanager
def _sequencer(file: str) -> Iterator[None]:
    program = str(Path(sys.executable).with_name("vaultdb"))
    command = [program, "--config", file, "audit", "checkpoint"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    try:
        yield
        assert process.poll() is None, "the sequencer has stopped"
    finally:
        process.terminate()
        process.wait()


def _writes(engines: dict[AuditMode, Engine], repetitions: int) -> list[Measurement]:
    plain = engines[AuditMode.OFF]
    ways: dict[str, tuple[Engine, Write]] = {
        "no log": (plain, _write),
        "strict": (engines[AuditMode.STRICT], _write),
        "relaxed": (engines[AuditMode.RELAXED], _write),
        "one chain for all, linked with its statement": (plain, _write_in_turn),
        "one chain for all, linked before COMMIT": (plain, _write_in_turn_at_the_end),
    }
    for engine, write in ways.values():
        _milliseconds(engine, write, seconds=0.5)
    found = []
    for load, pace in ((f"{WRITERS / PACE:.0f} a second", PACE), ("all they can", 0.0)):
        rounds = []
        for repetition in range(repetitions):
            order = list(ways)[:: -1 if repetition % 2 else 1]
            rounds.append({name: _milliseconds(*ways[name], pace=pace) for name in order})
        found += [
            Measurement(
                f"5 ms transaction, {WRITERS} writers, {load}: {name}",
                median(each[name] for each in rounds),
                "ms",
                median(each["no log"] for each in rounds),
                median(each[name] / each["no log"] for each in rounds),
                1 / THROUGHPUT if pace and name in ("strict", "relaxed") else None,
            )
            for name in ways
            if name != "no log"
        ]
    return found


def _milliseconds(
    engine: Engine, write: Write, *, seconds: float = SECONDS, pace: float = 0.0
) -> float:
    """Return how long a transaction took, on average."""
    taken: list[float] = []
    start = perf_counter()

    def work(writer: int) -> None:
        begin = start + pace * writer / WRITERS
        while begin < start + seconds:
            sleep(max(0.0, begin - perf_counter()))
            began = perf_counter()
            write(engine)
            taken.append(perf_counter() - began)
            begin = max(begin + pace, perf_counter())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 1000 * sum(taken) / len(taken)


def _write(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Audited), {"note": "the same each time"})
        connection.execute(BUSINESS)


def _write_in_turn(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Audited), {"note": "the same each time"})
        _link_globally(connection)
        connection.execute(BUSINESS)


def _write_in_turn_at_the_end(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(Audited), {"note": "the same each time"})
        connection.execute(BUSINESS)
        _link_globally(connection)


def _link_globally(connection: Connection) -> None:
    """Do what a log with one chain does: wait for its end, and hold it until COMMIT."""
    body = Event(DATA_READ, READ, ACTING).body(Identity("vaultdb_app", None), Chain.new()[0])
    connection.execute(ALONE)
    tail = connection.scalar(NEWEST) or bytes(32)
    mac = hmac.digest(bytes(32), tail + body.encode(), hashlib.sha256)
    connection.execute(APPEND, {"body": body, "mac": mac})


def _reads(engines: dict[AuditMode, Engine], repetitions: int) -> list[Measurement]:
    plain = engines[AuditMode.OFF]
    return [
        compare(
            f"read one row, {mode.value}",
            lambda mode=mode: _read_many(engines[mode]),
            lambda: _read_many(plain),
            target=None,
            repetitions=repetitions,
            unit="µs",
            scale=1e6 / READS,
        )
        for mode in (AuditMode.STRICT, AuditMode.RELAXED)
    ]


def _read_many(engine: Engine) -> float:
    with Session(engine) as session:
        session.scalars(select(Audited).where(Audited.id == 1)).one()
        start = perf_counter()
        for _ in range(READS):
            session.expunge_all()
            session.scalars(select(Audited).where(Audited.id == 1)).one()
        return perf_counter() - start


def _linking() -> float:
    chain, _ = Chain.new()
    identity = Identity("vaultdb_app", None)
    start = process_time()
    for _ in range(LINKED):
        chain.link(timestamp(), Event(DATA_READ, READ, ACTING).body(identity, chain))
    return (process_time() - start) / LINKED * 1e6
