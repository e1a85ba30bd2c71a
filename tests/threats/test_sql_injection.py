"""SQL injection in the application: a raw fragment gets ciphertext, and runs no second statement."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import column, exc, func, literal_column, select, table, text

import vaultdb
from tests.threats.conftest import ADA, VALUES, patient
from vaultdb.errors import VaultDBError


def shows_a_value(rows) -> bool:
    shown = repr(rows)
    return any(v in shown or v.encode().hex() in shown for v in VALUES)


INJECTED = {
    "union": "SELECT id FROM patient WHERE id = 1 UNION ALL SELECT name FROM patient",
    "union with a cast": "SELECT id::text FROM patient UNION ALL SELECT name::text FROM patient",
    "whole row as json": "SELECT row_to_json(p) FROM patient p",
    "aggregate": "SELECT string_agg(encode(name, 'escape'), ',') FROM patient",
    "decode": "SELECT convert_from(name, 'LATIN1') FROM patient",
    "with its key": "SELECT vaultdb.bind_row('\\x', name) FROM patient",
    "keys": "SELECT wrapped FROM vaultdb.data_key",
    "settings": "SELECT name, setting FROM pg_settings",
    "activity": "SELECT query FROM pg_stat_activity",
}


@pytest.mark.parametrize("sql", [pytest.param(s, id=n) for n, s in INJECTED.items()])
def test_a_raw_statement_gets_ciphertext(sql, clinic):
    with clinic.connect() as connection:
        connection.execute(select(patient).where(patient.c.email == ADA["email"])).all()
        try:
            rows = connection.execute(text(sql)).all()
        except exc.DBAPIError as error:
            rows = [str(error)]
    assert not shows_a_value(rows)


FRAGMENTS = {
    "select list": lambda: select(literal_column("name")).select_from(patient),
    "select list beside": lambda: select(patient.c.id, text("name")),
    "light table": lambda: select(column("name")).select_from(table("patient")),
    "subquery": lambda: select(literal_column("(SELECT name FROM patient LIMIT 1)")),
}


@pytest.mark.parametrize("build", [pytest.param(b, id=n) for n, b in FRAGMENTS.items()])
def test_a_fragment_in_a_statement_gets_ciphertext(build, clinic):
    with clinic.connect() as connection:
        assert not shows_a_value(connection.execute(build()).all())


def test_a_condition_in_text_compares_ciphertext(clinic):
    with clinic.connect() as connection:
        found = connection.execute(
            select(func.count()).select_from(patient).where(text("name::text LIKE '%Ada%'"))
        ).scalar()
    assert found == 0


@pytest.mark.parametrize(
    "sql", ["SELECT 1; DROP TABLE doctor", "COMMIT; DROP TABLE doctor", "SELECT 1; SELECT 2"]
)
def test_a_second_statement_does_not_run(sql, clinic, database, new_keyring):
    for engine in (
        clinic,
        vaultdb.create_engine(database.url, keyring=new_keyring(database.realm), connect_args={}),
    ):
        with engine.connect() as connection, pytest.raises(exc.ProgrammingError, match="42601"):
            connection.execute(text(sql))
        with engine.connect() as connection, pytest.raises(exc.DBAPIError):
            connection.exec_driver_sql(sql)
        engine.dispose()
    with database.connect() as admin:
        assert admin.execute("SELECT to_regclass('doctor')").fetchone() != (None,)


def test_not_stopped_an_injected_predicate_in_an_orm_statement(clinic):
    """The statement is the application's own, so what it returns is decrypted."""
    with clinic.connect() as connection:
        rows = connection.execute(select(patient.c.name).where(text("1 = 1 OR id = 99"))).all()
    assert shows_a_value(rows)


def test_a_value_is_not_in_the_text_of_a_statement(clinic, attack):
    """pg_stat_activity of another session shows placeholders."""
    with clinic.connect() as connection:
        connection.execute(select(patient).where(patient.c.email == ADA["email"])).all()
        shown = attack.execute("SELECT query FROM pg_stat_activity").fetchall()
    assert not shows_a_value(shown)


def test_literal_binds_are_refused(clinic):
    statement = select(patient.c.id).where(patient.c.email == ADA["email"])
    with pytest.raises((exc.CompileError, VaultDBError, NotImplementedError)):
        str(statement.compile(clinic, compile_kwargs={"literal_binds": True}))
    assert psycopg.__version__
