"""A log that cannot be written lets nothing through."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from tests.fixtures.postgres import Database
from tests.integration.audit.conftest import Audited
from tests.integration.audit.noting import MakeEngine, auditor_of, noted, revoked
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.auditlog.auditor import PostgresAuditor
from vaultdb.engine import create_engine
from vaultdb.errors import AuditUnavailable, VaultUnavailable


@pytest.fixture
def engine(audited_engine: MakeEngine) -> Engine:
    return audited_engine()


def test_a_log_without_its_table_lets_nothing_through(engine: Engine, database: Database) -> None:
    auditor_of(engine).commit(noted("works"))
    with database.connect() as connection:
        connection.execute("DROP TABLE vaultdb_audit.event CASCADE")
    with pytest.raises(AuditUnavailable, match="has not been migrated"):
        auditor_of(engine).commit(noted("refused"))


@pytest.mark.parametrize("table", ["event", "chain"])
def test_a_trigger_that_swallows_rows_lets_nothing_through(
    engine: Engine, database: Database, table: str
) -> None:
    if table == "event":
        auditor_of(engine).commit(noted("works"))
    with database.connect() as connection:
        connection.execute(
            "CREATE FUNCTION vaultdb_audit.swallow() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NULL; END'"
        )
        connection.execute(
            f"CREATE TRIGGER swallow BEFORE INSERT ON vaultdb_audit.{table}"
            " FOR EACH ROW EXECUTE FUNCTION vaultdb_audit.swallow()"
        )
    with pytest.raises(AuditUnavailable, match="of 1 rows 0 were stored; look for triggers"):
        auditor_of(engine).commit(noted("refused"))


def test_a_login_without_the_right_lets_nothing_through(engine: Engine, database: Database) -> None:
    with revoked(database), pytest.raises(AuditUnavailable, match="permission denied"):
        auditor_of(engine).commit(noted("refused"))


def test_a_database_that_cannot_be_reached_lets_nothing_through(
    audited: Audited, database: Database
) -> None:
    url = database.url.replace(str(database.postgres.port), "1")
    settings = audited()
    settings = settings.model_copy(
        update={"database": settings.database.model_copy(update={"primary_url": SecretStr(url)})}
    )
    engine = create_engine(settings=settings)
    with engine.connect(), pytest.raises(AuditUnavailable, match="start the server"):
        auditor_of(engine).commit(noted("refused"))
    engine.dispose()


def test_vault_away_at_the_first_event_lets_nothing_through_and_says_so(
    audited: Audited,
) -> None:
    class Away(MemoryAuditKeys):
        def certify(self, statement: bytes) -> str:
            raise VaultUnavailable("vault does not answer; see whether it runs")

    auditor = PostgresAuditor(audited(), Away())
    with pytest.raises(AuditUnavailable, match="cannot write the audit log: vault does not answer"):
        auditor.commit(noted("refused"))
    auditor.close()
