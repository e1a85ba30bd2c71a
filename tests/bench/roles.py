"""What least privilege costs: verifying all facts, looking at a login, telling who acts.

The database has 200 tables with declared access. The first two have promised upper limits, the
last is compared with the same transaction of an engine that tells nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from sqlalchemy import Column, Engine, Integer, MetaData, QueuePool, Table, Text, select

import vaultdb
from tests.bench.report import Measurement, compare, timed
from vaultdb.alembic.own import upgrade
from vaultdb.db.connect import new_engine
from vaultdb.db.rights import excess_rights
from vaultdb.db.role_names import RoleNames
from vaultdb.dev.temporary import temporary_stack
from vaultdb.guard.principal import acting_as
from vaultdb.roles.access import access
from vaultdb.roles.apply import apply
from vaultdb.roles.verify import verify
from vaultdb.settings import Settings

TABLES = 200
TRANSACTIONS = 200
"""In one timing: one alone is too short."""
VERIFY_SECONDS = 1.0
LOOK_MILLISECONDS = 20.0

NAMES = RoleNames()


def run(repetitions: int = 9) -> list[Measurement]:
    """Verify, look at the application's login, and read one row as somebody."""
    metadata = _models()
    with temporary_stack() as stack:
        stack.up()
        file = stack.folder.settings
        migrator = Settings.load(file=file, role="migrator")
        owner = new_engine(migrator)
        upgrade(owner, realm=migrator.realm)
        metadata.create_all(owner)
        with new_engine(Settings.load(file=file, role="admin")).connect() as connection:
            apply(connection, metadata, NAMES)
        app = Settings.load(file=file)
        return [
            _verifying(app, metadata, repetitions),
            _looking(app, repetitions),
            _claims(app, metadata.tables["bench_0"], repetitions),
        ]


def _models() -> MetaData:
    metadata = MetaData()
    for number in range(TABLES):
        key = Column("id", Integer, primary_key=True)
        tenant = Column("tenant_id", Text, nullable=False)
        table = Table(f"bench_{number}", metadata, key, tenant, Column("body", Text))
        access(table, ro=["id"], tenant="tenant_id")
    return metadata


def _verifying(settings: Settings, metadata: MetaData, repetitions: int) -> Measurement:
    with new_engine(settings).connect() as connection:
        found = verify(connection, metadata, NAMES)
        assert found.is_clean, found.drifts[:3]
        seconds = _median(repetitions, lambda: verify(connection, metadata, NAMES))
    name = f"verify {found.facts:,} facts of {TABLES} tables"
    return Measurement(name, seconds, "s", target=VERIFY_SECONDS)


def _looking(settings: Settings, repetitions: int) -> Measurement:
    with new_engine(settings).connect() as connection:
        dbapi = connection.connection.dbapi_connection
        assert dbapi is not None
        assert excess_rights(dbapi, NAMES) == []
        seconds = _median(repetitions, lambda: excess_rights(dbapi, NAMES))
    name = f"look at what a login may do, {TABLES} tables"
    return Measurement(name, seconds * 1000, "ms", target=LOOK_MILLISECONDS)


def _claims(settings: Settings, table: Table, repetitions: int) -> Measurement:
    telling = vaultdb.create_engine(settings=settings, keyring=None)
    silent = new_engine(settings, poolclass=QueuePool)

    def read(engine: Engine) -> None:
        with acting_as("bench", tenant="bench"):
            for _ in range(TRANSACTIONS):
                with engine.begin() as connection:
                    connection.execute(select(table.c.body).limit(1)).all()

    found = compare(
        "a transaction of one SELECT that tells who acts",
        timed(lambda: read(telling)),
        timed(lambda: read(silent)),
        target=None,
        repetitions=repetitions,
        unit="ms",
        scale=1000 / TRANSACTIONS,
    )
    telling.dispose()
    silent.dispose()
    return found


def _median(repetitions: int, work: Callable[[], object]) -> float:
    return statistics.median(timed(work)() for _ in range(repetitions))
