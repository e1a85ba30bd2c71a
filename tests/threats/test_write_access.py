"""Write access to the tables: what moves does not decrypt; what is not stopped is shown here too."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import func, insert, select

from tests.threats.conftest import (
    ADA,
    EVE,
    doctor,
    fill,
    metadata,
    patient,
    read,
    undecryptable,
    visit,
)
from vaultdb.errors import DecryptionError, VaultDBError

EMAIL_INDEX, PHONE_INDEX = (
    next(c.name for c in patient.c if c.name.startswith(name) and c.name != name)
    for name in ("email", "phone")
)


def test_a_value_in_another_row(clinic, attack):
    attack.execute("UPDATE patient SET name = (SELECT name FROM patient WHERE id = 2) WHERE id = 1")
    assert undecryptable(clinic, patient.c.name, 1)
    assert read(clinic, patient.c.name, 2) == EVE["name"]


def test_two_values_swapped(clinic, attack):
    attack.execute("UPDATE patient p SET name = q.name FROM patient q WHERE q.id = 3 - p.id")
    assert undecryptable(clinic, patient.c.name, 1)
    assert undecryptable(clinic, patient.c.name, 2)


def test_two_keys_swapped(clinic, attack):
    """Moving the row's key instead of its value is the same move."""
    attack.execute("DELETE FROM visit")
    attack.execute("UPDATE patient SET id = -id")
    attack.execute("UPDATE patient SET id = 3 + id")
    assert undecryptable(clinic, patient.c.name, 1)


def test_part_of_a_composite_key_changed(clinic, attack):
    attack.execute("UPDATE visit SET no = '2'")
    assert undecryptable(clinic, visit.c.note, 1)


def test_the_border_of_a_composite_key_shifted(clinic, attack):
    with clinic.begin() as connection:
        connection.execute(insert(patient), [{**ADA, "id": 11}])
        connection.execute(insert(visit).values(patient_id=11, no="1", note="x"))
    attack.execute("UPDATE visit SET patient_id = 1, no = '11' WHERE patient_id = 11")
    with clinic.connect() as connection, pytest.raises(DecryptionError):
        connection.execute(select(visit.c.note).where(visit.c.no == "11")).all()


def test_a_value_in_another_column(clinic, attack):
    attack.execute("UPDATE patient SET name = nickname")
    assert undecryptable(clinic, patient.c.name)


def test_a_value_in_a_column_of_another_type(clinic, attack):
    attack.execute("UPDATE patient SET weight = name, born = weight")
    assert undecryptable(clinic, patient.c.weight)
    assert undecryptable(clinic, patient.c.born)


def test_a_value_in_another_table(clinic, attack):
    attack.execute("UPDATE doctor SET name = (SELECT name FROM patient WHERE id = 1)")
    assert undecryptable(clinic, doctor.c.name)


def test_a_column_bound_value_moves_between_rows_and_nowhere_else(clinic, attack):
    """bind="column" is the opt-out: rows are not told apart, everything else is."""
    attack.execute("UPDATE patient SET phone = (SELECT phone FROM patient WHERE id = 2)")
    assert read(clinic, patient.c.phone) == EVE["phone"]
    attack.execute("UPDATE patient SET name = phone")
    assert undecryptable(clinic, patient.c.name)


def test_a_value_of_another_tenant(database, prepared, attack):
    database.create_all(metadata)
    acme, globex = (prepared(database, tenant=t) for t in ("acme", "globex"))
    with acme.begin() as connection:
        connection.execute(insert(patient), [ADA])
    assert read(acme, patient.c.name) == ADA["name"]
    with pytest.raises(VaultDBError):
        read(globex, patient.c.name)
    with globex.begin() as connection:
        connection.execute(insert(patient), [{**EVE, "id": 2}])
    attack.execute("UPDATE patient SET name = (SELECT name FROM patient WHERE id = 1) WHERE id = 2")
    with pytest.raises(VaultDBError):
        read(globex, patient.c.name, 2)
    with pytest.raises(VaultDBError):
        read(acme, patient.c.name, 2)


def test_a_search_does_not_cross_tenants(database, prepared):
    database.create_all(metadata)
    acme, globex = (prepared(database, tenant=t) for t in ("acme", "globex"))
    with acme.begin() as connection:
        connection.execute(insert(patient), [ADA])
    statement = select(func.count()).where(patient.c.email == ADA["email"])
    with acme.connect() as connection:
        assert connection.scalar(statement) == 1
    with globex.connect() as connection:
        assert connection.scalar(statement) == 0


def test_a_value_of_another_database(clinic, attack, postgres, prepared):
    other = postgres.create_database()
    try:
        other.create_all(metadata)
        engine = prepared(other, realm=uuid.uuid4())
        fill(engine)
        with other.connect() as elsewhere:
            stolen = elsewhere.execute("SELECT name FROM patient WHERE id = 1").fetchone()[0]
        attack.execute("UPDATE patient SET name = %s WHERE id = 1", [stolen])
        with pytest.raises(VaultDBError):
            read(clinic, patient.c.name)
        engine.dispose()
    finally:
        postgres.drop_database(other.name)


@pytest.mark.parametrize("position", [0, 1, 2, 17, 18, 29, 41, 42, 43, -17, -16, -1])
def test_a_flipped_bit(clinic, attack, position):
    attack.execute("ALTER TABLE patient ALTER COLUMN name TYPE bytea")  # past the domain
    attack.execute(
        "UPDATE patient SET name = set_byte(name, i, get_byte(name, i) # 1) "
        "FROM (SELECT CASE WHEN %(p)s < 0 THEN octet_length(name) + %(p)s ELSE %(p)s END AS i "
        "FROM patient WHERE id = 1) AS at WHERE id = 1",
        {"p": position},
    )
    with pytest.raises(VaultDBError):
        read(clinic, patient.c.name)


@pytest.mark.parametrize("stored", [b"", b"plaintext", b"\xf6", b"\xf6\x01" + b"\0" * 58])
def test_bytes_that_are_no_envelope_are_never_passed_through(clinic, attack, stored):
    attack.execute("ALTER TABLE patient ALTER COLUMN name TYPE bytea")
    attack.execute("UPDATE patient SET name = %s WHERE id = 1", [stored])
    with pytest.raises(VaultDBError):
        read(clinic, patient.c.name)


def test_the_domain_stops_a_plaintext_by_accident(clinic, attack):
    import psycopg

    with pytest.raises(psycopg.errors.CheckViolation):
        attack.execute("UPDATE patient SET name = 'plaintext'")


def test_swapped_index_values_are_noticed_when_the_value_is_returned(clinic, attack):
    """`WHERE email = victim` would return the attacker's row."""
    attack.execute(
        f"UPDATE patient p SET {EMAIL_INDEX} = q.{EMAIL_INDEX} FROM patient q WHERE q.id = 3 - p.id"
    )
    statement = select(patient.c.id, patient.c.email).where(patient.c.email == ADA["email"])
    with clinic.connect() as connection, pytest.raises(VaultDBError):
        connection.execute(statement).all()
    with clinic.connect() as connection, pytest.raises(VaultDBError):
        connection.execute(select(patient).where(patient.c.email.in_([ADA["email"]]))).all()


# -- not stopped: the README says so, and so do these -----------------------------------------


def test_not_stopped_swapped_index_values_when_the_value_is_not_returned(clinic, attack):
    attack.execute(
        f"UPDATE patient p SET {EMAIL_INDEX} = q.{EMAIL_INDEX} FROM patient q WHERE q.id = 3 - p.id"
    )
    with clinic.connect() as connection:
        found = connection.scalar(select(patient.c.id).where(patient.c.email == ADA["email"]))
    assert found == EVE["id"]


def test_not_stopped_an_older_value_of_the_same_cell(clinic, attack):
    old = attack.execute("SELECT name FROM patient WHERE id = 1").fetchone()[0]
    with clinic.begin() as connection:
        connection.execute(patient.update().where(patient.c.id == 1).values(name="Countess"))
    attack.execute("UPDATE patient SET name = %s WHERE id = 1", [old])
    assert read(clinic, patient.c.name) == ADA["name"]


def test_not_stopped_setting_null(clinic, attack):
    attack.execute("UPDATE patient SET name = NULL WHERE id = 1")
    assert read(clinic, patient.c.name) is None


def test_not_stopped_pointing_plain_columns_elsewhere(clinic, attack):
    attack.execute("UPDATE patient SET owner_id = 8 WHERE id = 1")
    with clinic.connect() as connection:
        owned = connection.scalars(select(patient.c.name).where(patient.c.owner_id == 8)).all()
    assert sorted(owned) == sorted([ADA["name"], EVE["name"]])


def test_not_stopped_deleting_rows(clinic, attack):
    attack.execute("DELETE FROM patient WHERE id = 2")
    with clinic.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(patient)) == 1
