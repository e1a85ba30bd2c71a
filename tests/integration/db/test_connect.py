"""Connections: verified on both sides, one statement at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.fixtures.postgres import Database
from vaultdb.db.connect import TransportWarning, attach, connect_arguments, new_engine
from vaultdb.db.cursor import ask_for_binary_results
from vaultdb.db.tls import transport_for
from vaultdb.db.tls_check import connection_check
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings

STACKED = "SELECT 1; SELECT 2"
REFUSAL = "cannot insert multiple commands into a prepared statement"


def settings(url: str, **values: Any) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"url": url, **values})


@pytest.fixture
def bare_url(database: Database) -> str:
    """The application's URL without any TLS option and without a password."""
    return f"postgresql://vaultdb_app@127.0.0.1:{database.postgres.port}/{database.name}"


def test_the_default_connects_and_finds_tls(database: Database) -> None:
    engine = new_engine(settings(database.url))
    with engine.connect() as connection:
        assert connection.scalar(
            sa.text("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        )


def test_the_password_file_is_read_at_each_connection(
    database: Database, bare_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("wrong\n")
    given = settings(bare_url, password_file=file, sslrootcert=database.postgres.sslrootcert)
    engine = new_engine(given)
    with pytest.raises(sa.exc.OperationalError):
        engine.connect()
    file.write_text(database.postgres.passwords["vaultdb_app"] + "\n")
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT session_user")) == "vaultdb_app"


def test_a_server_of_another_authority_is_refused(
    database: Database, bare_url: str, tmp_path: Path
) -> None:
    from vaultdb.dev.certificates import ensure_certificates

    other = ensure_certificates(tmp_path / "tls")[0]
    engine = new_engine(settings(bare_url, sslrootcert=other.authority, password="x"))
    with pytest.raises(sa.exc.OperationalError, match="certificate verify failed"):
        engine.connect()


def test_a_server_of_another_name_is_refused(database: Database) -> None:
    url = database.url.replace("@127.0.0.1:", "@localhost.localdomain:") + "&hostaddr=127.0.0.1"
    with pytest.raises(sa.exc.OperationalError, match="does not match host name"):
        new_engine(settings(url)).connect()


def test_a_connection_that_lost_its_tls_is_not_used(database: Database) -> None:
    engine = sa.create_engine(database.sqlalchemy_url)
    check = connection_check(transport_for(sa.make_url(database.url), settings(database.url)))
    sa.event.listen(engine, "connect", lambda dbapi, record: check(_Unencrypted(dbapi), record))
    with pytest.raises(ConfigurationError, match="does not use TLS"):
        engine.connect()
    engine.dispose()


class _Unencrypted:
    """A connection to a server that sees no TLS, as behind a proxy that ends it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def cursor(self) -> Any:
        return _NoTls(self._connection.cursor())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _NoTls:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def fetchone(self) -> tuple[Any, ...]:
        return (False, None, False, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def test_the_migrators_set_role_does_not_hide_its_session(database: Database) -> None:
    with new_engine(settings(database.migrate_url)).connect() as connection:
        assert connection.scalar(sa.text("SELECT current_user")) == "vaultdb_owner"


@pytest.mark.parametrize("statement", [STACKED, "SELECT 1; DROP TABLE vaultdb.data_key"])
def test_stacked_statements_do_not_run(database: Database, statement: str) -> None:
    with new_engine(settings(database.admin_url)).connect() as connection:
        for run in (connection.exec_driver_sql, lambda sql: connection.execute(sa.text(sql))):
            with pytest.raises(sa.exc.ProgrammingError, match=REFUSAL):
                run(statement)
            connection.rollback()
        assert connection.scalar(sa.text("SELECT to_regclass('vaultdb.data_key') IS NOT NULL"))


def test_plain_sqlalchemy_would_run_them(database: Database) -> None:
    engine = sa.create_engine(database.sqlalchemy_url)
    with engine.connect() as connection:
        connection.exec_driver_sql(STACKED)
    engine.dispose()


def test_stacked_statements_do_not_run_behind_a_pooler(database: Database) -> None:
    given = settings(database.url, pooler="pgbouncer")
    with pytest.warns(TransportWarning, match="pgbouncer"):
        engine = new_engine(given)
    with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError, match=REFUSAL):
        connection.exec_driver_sql(STACKED)


@pytest.mark.asyncio
async def test_stacked_statements_do_not_run_under_asyncio(database: Database) -> None:
    given = settings(database.url)
    url, arguments = connect_arguments(given, is_async=True)
    engine = create_async_engine(url, connect_args=arguments)
    attach(engine.sync_engine, given)
    async with engine.connect() as connection:
        with pytest.raises(sa.exc.ProgrammingError, match=REFUSAL):
            await connection.exec_driver_sql(STACKED)
        await connection.rollback()
        assert (await connection.scalar(sa.text("SELECT 1"))) == 1
    await engine.dispose()


def test_what_needs_the_protocol_still_works(database: Database) -> None:
    with new_engine(settings(database.admin_url)).connect() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE t (a int, b text)")
        driver: Any = connection.connection
        with driver.cursor() as cursor, cursor.copy("COPY t FROM STDIN") as copy:
            copy.write_row((1, "x"))
        with driver.cursor() as cursor:
            cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(2, "y"), (3, "z")])
        with driver.cursor() as cursor, cursor.copy("COPY t TO STDOUT") as copy:
            assert len(list(copy.rows())) == 3
        options = {"yield_per": 2}
        streamed = connection.execute(sa.text("SELECT a FROM t"), execution_options=options)
        assert [row.a for row in streamed] == [1, 2, 3]
        table = sa.table("t", sa.column("a", sa.Integer), sa.column("b", sa.String))
        assert connection.execute(sa.update(table).values(b="w")).rowcount == 3


def test_binary_results_are_for_those_who_ask(database: Database) -> None:
    engine = new_engine(settings(database.url))
    formats = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def ask(_c: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if "bytea" in statement:
            ask_for_binary_results(cursor)
            formats.append(cursor.format)

    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT '\\x00ff'::bytea")) == b"\x00\xff"
        assert connection.scalar(sa.text("SELECT 'a'")) == "a"
    assert [int(each) for each in formats] == [1]
