"""The SQL for pgaudit: object grants of exactly the encrypted columns."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, NullPool, Table, Text, create_engine

from tests.fixtures.postgres import Database
from vaultdb import Encrypted, Equality, access
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError
from vaultdb.roles.apply import apply
from vaultdb.roles.grant import Grant
from vaultdb.roles.pgaudit import AUDIT_ROLE, pgaudit_sql
from vaultdb.roles.verify import verify


def models(**declared: object) -> MetaData:
    metadata = MetaData()
    table = Table(
        'odd "patient"',
        metadata,
        Column("id", Integer, primary_key=True),
        Column("ssn", Encrypted(str, index=Equality())),
        Column("note", Text),
    )
    access(table, **declared)  # type: ignore[arg-type]
    return metadata


def test_only_encrypted_columns_are_watched() -> None:
    text = pgaudit_sql([models()], "app")

    grants = [line for line in text.splitlines() if line.startswith("GRANT")]
    assert grants == [
        f'GRANT {word} (ssn) ON TABLE public."odd ""patient""" TO pgaudit_vaultdb;'
        for word in ("SELECT", "INSERT", "UPDATE")
    ]
    assert "ALTER DATABASE app SET pgaudit.role = 'pgaudit_vaultdb';" in text
    assert "pgaudit.log_parameter = off" in text


def test_a_name_cannot_end_the_statement() -> None:
    text = pgaudit_sql([models()], 'a"; DROP TABLE x; --', role="b'; DROP ROLE y; --")

    assert 'ALTER DATABASE "a""; DROP TABLE x; --" SET' in text
    assert "= 'b''; DROP ROLE y; --'" in text


def test_models_without_encrypted_columns_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no encrypted columns"):
        pgaudit_sql([MetaData()], "app")


def test_declared_grants_of_the_audit_role_are_no_drift(database: Database) -> None:
    watched = Grant(select=("ssn",), insert=("ssn",), update=("ssn",))
    metadata = models(others={AUDIT_ROLE: watched})
    database.create_all(metadata)
    text = pgaudit_sql([metadata], database.name)
    url = database.admin_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(url, poolclass=NullPool)
    with database.connect() as connection:
        # The extension itself is not on every machine: its settings are accepted without.
        connection.execute(text.replace("CREATE EXTENSION IF NOT EXISTS pgaudit;", ""))
    try:
        with engine.connect() as admin:
            apply(admin, metadata, RoleNames())
            admin.commit()
            found = verify(admin, metadata, RoleNames())
        assert [each.problem for each in found.drifts if AUDIT_ROLE in each.problem] == []
    finally:
        engine.dispose()
        with database.connect() as connection:
            connection.execute(f"DROP OWNED BY {AUDIT_ROLE}")
            connection.execute(f"DROP ROLE {AUDIT_ROLE}")


def test_pgaudit_logs_who_reads_ciphertext(here) -> None:
    with here.database.connect() as connection:
        there = connection.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'pgaudit'"
        ).fetchone()
        loaded = connection.execute("SHOW shared_preload_libraries").fetchone()
    if there is None or loaded is None or "pgaudit" not in loaded[0]:
        pytest.skip("pgaudit is not installed and preloaded (Debian: postgresql-15-pgaudit)")
    here.run('CREATE TABLE "odd ""patient""" (id int, ssn bytea, note text)')
    here.run(pgaudit_sql([models()], here.database.name))
    with here.database.connect() as connection:
        notices: list[str] = []
        connection.add_notice_handler(lambda each: notices.append(str(each.message_primary)))
        connection.execute("SET pgaudit.log_client = on")
        connection.execute('SELECT note FROM "odd ""patient"""')
        connection.execute('SELECT ssn FROM "odd ""patient"""')
    assert [note for note in notices if note.startswith("AUDIT: OBJECT")] != []
    assert not any("SELECT note" in note for note in notices)
    assert isinstance(connection, psycopg.Connection)
