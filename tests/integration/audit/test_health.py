"""What `vaultdb doctor` says of the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine

from tests.fixtures.postgres import Database
from tests.integration.audit.conftest import Audited
from tests.integration.audit.writing import Process
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.login.credentials import Credentials
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit import health
from vaultdb.jobs.audit.health import check_signing, check_writing
from vaultdb.jobs.audit.sequencer import Sequencer
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.settings import Settings


def connect(database: Database, login: str) -> Engine:
    url = database.url_for(login).replace("postgresql://", "postgresql+psycopg://", 1)
    return create_engine(url, poolclass=NullPool)


def signing(auditor: Connection, settings: Settings) -> str:
    with closing(Credentials(settings)) as credentials:
        return check_signing(auditor, settings, credentials)


@pytest.fixture
def app(database: Database) -> Iterator[Connection]:
    with connect(database, "vaultdb_app").connect() as connection:
        yield connection


@pytest.fixture
def auditor(database: Database) -> Iterator[Connection]:
    with connect(database, "vaultdb_audit_reader").connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def test_a_log_that_can_be_written_is_fine(app: Connection, audited: Audited) -> None:
    settings = audited()
    with closing(Credentials(settings)) as credentials:
        said = check_writing(app, settings, credentials)

    assert said == "strict, certified as app; outside of acting_as as service"


def test_a_log_that_is_switched_off_is_named(app: Connection, audited: Audited) -> None:
    settings = audited(mode="off")
    with closing(Credentials(settings)) as credentials:
        assert "nobody can tell who saw what" in check_writing(app, settings, credentials)


@pytest.mark.parametrize(
    ("damage", "remedy"),
    [
        ("DROP SCHEMA vaultdb_audit CASCADE", "run: vaultdb roles apply"),
        ("REVOKE ALL (chain, seq, at, body, mac) ON vaultdb_audit.event FROM vaultdb_rw", "apply"),
    ],
    ids=["dropped", "revoked"],
)
def test_a_log_that_cannot_be_written_is_named_with_the_remedy(
    app: Connection, audited: Audited, database: Database, damage: str, remedy: str
) -> None:
    with database.connect() as connection:
        connection.execute(damage)
    settings = audited()
    with (
        closing(Credentials(settings)) as credentials,
        pytest.raises(ConfigurationError, match=remedy),
    ):
        check_writing(app, settings, credentials)


def test_months_that_are_not_made_ahead_are_named(
    app: Connection, audited: Audited, database: Database
) -> None:
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relname ~ '^event_2' AND relkind = 'r'"
        ).fetchall()
        for (name,) in rows:
            connection.execute(f"DROP TABLE vaultdb_audit.{name}")
    settings = audited()
    with (
        closing(Credentials(settings)) as credentials,
        pytest.raises(ConfigurationError, match="has no partition event_2"),
    ):
        check_writing(app, settings, credentials)


def test_a_log_that_nobody_signs_is_named(
    auditor: Connection, audited: Audited, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = MemoryAuditKeys()
    assert signing(auditor, audited()) == "nothing to sign yet"
    Process(database, keys).open(2)
    monkeypatch.setattr(health, "SIGNED_AFTER", -1.0)
    with pytest.raises(ConfigurationError, match=r"3 records wait .* there is no checkpoint"):
        signing(auditor, audited())

    engine = connect(database, "vaultdb_audit_sequencer")
    Sequencer(engine, NoteSigner(str(database.realm), keys)).step()

    assert signing(auditor, audited()).startswith("3 records signed, 0 wait; none is exported")


def test_a_record_that_is_gone_is_named(
    auditor: Connection, audited: Audited, database: Database
) -> None:
    chain = Process(database, MemoryAuditKeys()).open(3)
    with database.connect() as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("DELETE FROM vaultdb_audit.event WHERE seq = 0")

    with pytest.raises(ConfigurationError, match=f"{chain.id} waits for its record 0, .* verify"):
        signing(auditor, audited())


def test_records_outside_of_every_month_are_counted(
    auditor: Connection, audited: Audited, database: Database
) -> None:
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO vaultdb_audit.event (recorded_at, chain, seq, at, body, mac)"
            " VALUES ('2001-01-01', gen_random_uuid(), 0, '', '', sha256(''))"
        )

    with pytest.raises(ConfigurationError, match=r"1 records are in no month .* audit partitions"):
        signing(auditor, audited())
