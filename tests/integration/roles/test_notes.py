from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, text

from tests.integration.roles.conftest import METADATA, Place
from vaultdb import Encrypted, access
from vaultdb.roles.apply import apply
from vaultdb.roles.verify import verify


@pytest.fixture
def connection(standing: Place):
    with standing.engine().connect() as connection:
        yield connection
        connection.rollback()


def notes(connection, standing, metadata=METADATA):
    return {note.text: note.remedy for note in verify(connection, metadata, standing.names).notes}


def test_a_login_with_createrole_is_warned_of_until_15(standing, connection):
    name = f"{standing.names.prefix}dba"
    connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN CREATEROLE")
    found = [text for text in notes(connection, standing) if text.startswith(f"login {name} ")]
    if standing.major >= 16:
        assert found == []
    else:
        (text,) = found
        assert "it can grant itself any role" in text
        assert "it is as good as a superuser" in text


def test_a_schema_where_everybody_may_create_is_warned_of(standing, connection):
    connection.exec_driver_sql('CREATE SCHEMA "Else where"')
    connection.exec_driver_sql('GRANT CREATE ON SCHEMA "Else where" TO PUBLIC')
    found = notes(connection, standing)
    text = next(text for text in found if '"Else where"' in text)
    assert found[text] == 'REVOKE CREATE ON SCHEMA "Else where" FROM PUBLIC'


@pytest.mark.parametrize(
    ("role", "says"),
    [
        ("LOGIN", "is a member of nothing"),
        ("NOLOGIN IN ROLE {rw}", "was locked and not dropped"),
        ("LOGIN VALID UNTIL '2020-01-01' IN ROLE {rw}", "has expired and was not dropped"),
        ("LOGIN VALID UNTIL '2222-01-01' IN ROLE {rw}", None),
    ],
)
def test_what_a_lease_left_over_is_warned_of(standing, connection, role, says):
    name = "v_vaultdb_app_rw_abcdefghij_1700000000"
    connection.exec_driver_sql(f"CREATE ROLE {name} {role.format(rw=standing.names.rw)}")
    found = verify(connection, METADATA, standing.names)
    assert found.drifts == ()
    told = {note.text: note.remedy for note in found.notes if name in note.text}
    if says is None:
        assert told == {}
        return
    ((text, remedy),) = told.items()
    assert says in text
    for statement in remedy.split("; "):
        connection.exec_driver_sql(statement)
    assert not [text for text in notes(connection, standing) if name in text]


def test_a_leased_login_with_more_than_one_power_is_drift(standing, connection):
    name = "v_vaultdb_app_rw_abcdefghij_1700000001"
    connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN CREATEDB IN ROLE {standing.names.rw}")
    (drift,) = verify(connection, METADATA, standing.names).drifts
    assert "more than a login of the application needs" in drift.problem
    connection.exec_driver_sql(drift.remedy)
    assert verify(connection, METADATA, standing.names).is_clean


def test_without_models_only_vaultdbs_own_facts_are_looked_at(standing, connection):
    connection.exec_driver_sql(f"GRANT TRUNCATE ON clinic.patient TO {standing.names.rw}")
    found = verify(connection, None, standing.names)
    assert found.drifts == ()
    assert any(note.text.startswith("no models were given") for note in found.notes)


def test_a_login_that_may_read_no_table_can_verify_all_of_them(standing):
    url = standing.url_for(f"{standing.names.prefix}audit_reader")
    with standing.engine(url).connect() as connection:
        assert verify(connection, METADATA, standing.names).is_clean


def test_what_is_declared_encrypted_and_still_plaintext_is_opened_to_nobody_else(
    standing, connection
):
    """Else the rotator, and reports that named the column, would read it before its migration."""
    metadata = MetaData()
    key = Column("id", Integer, primary_key=True)
    person = Table("person", metadata, key, Column("ssn", Encrypted(str)), schema="clinic")
    access(person, ro=["id", "ssn"])
    connection.exec_driver_sql("CREATE TABLE clinic.person (id integer PRIMARY KEY, ssn text)")
    apply(connection, metadata, standing.names)
    may_use = "SELECT has_column_privilege('{}', 'clinic.person', 'ssn', 'SELECT, UPDATE')"
    readers = (standing.names.rw, standing.names.ro, standing.names.rotator)
    assert [connection.scalar(text(may_use.format(role))) for role in readers] == [
        True,
        False,
        False,
    ]
    assert any(
        note.startswith("clinic.person.ssn is declared as encrypted and holds plaintext")
        for note in notes(connection, standing, metadata)
    )
    connection.exec_driver_sql(
        "ALTER TABLE clinic.person ALTER ssn TYPE vaultdb.envelope USING NULL"
    )
    apply(connection, metadata, standing.names)
    assert all(connection.scalar(text(may_use.format(role))) for role in readers)
