"""Write access to what reading consumes beside the envelope: index values, tenant, operators."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from tests.threats.conftest import ADA, EVE, doctor, patient
from vaultdb import Encrypted, Equality
from vaultdb.errors import DecryptionError

EMAIL_INDEX = next(c.name for c in patient.c if c.name.startswith("email_"))
TENANT = 0xC2.to_bytes() + bytes(4)
OTHERS = select(patient.c.id, patient.c.email).where(patient.c.email != ADA["email"])


@pytest.mark.parametrize("order", [[], [patient.c.id]], ids=["unsorted", "sorted"])
@pytest.mark.parametrize("tail", [TENANT, b"\xc1%s", b"\xc1%s" + TENANT])
def test_an_index_value_with_a_forged_section_behind_it(clinic, attack, tail, order):
    """It differs from every index value, so that a search for others would find the row."""
    ((tag,),) = attack.execute(f"SELECT {EMAIL_INDEX} FROM patient WHERE id = 1").fetchall()
    tail = tail % tag if b"%" in tail else tail
    attack.execute(f"UPDATE patient SET {EMAIL_INDEX} = %s WHERE id = 1", [tag + tail])
    with clinic.connect() as connection, pytest.raises(DecryptionError):
        connection.execute(OTHERS.order_by(*order)).all()


def test_the_honest_search_for_others(clinic):
    with clinic.connect() as connection:
        assert connection.execute(OTHERS).all() == [(2, EVE["email"])]


owned_metadata = MetaData()
owned = Table(
    "owned",
    owned_metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", String, nullable=False),
    Column("secret", Encrypted(str, tenant_column="owner", index=Equality())),
    Column("freely", Encrypted(str, tenant_column="owner", bind="column")),
)


@pytest.mark.parametrize("column", [owned.c.secret, owned.c.freely], ids=lambda c: c.name)
@pytest.mark.parametrize("searched", [False, True])
def test_a_value_that_comes_without_its_tenant_column(database, prepared, attack, column, searched):
    """The owner of the schema can replace the function that puts value and tenant together."""
    database.create_all(owned_metadata)
    engine = prepared(database, tenant="a")
    query = select(column).order_by(owned.c.id)
    if searched:
        query = query.where(owned.c.secret == "s")
    with engine.begin() as connection:
        connection.execute(insert(owned), {"id": 1, "owner": "a", "secret": "s", "freely": "f"})
        assert connection.scalar(query) in ("s", "f")
    attack.execute("UPDATE owned SET owner = 'b'")
    attack.execute(r"""
        CREATE OR REPLACE FUNCTION vaultdb.bind_row(row_binding bytea, envelope bytea)
        RETURNS bytea LANGUAGE sql AS $$
          SELECT int4send(octet_length(row_binding)) || row_binding
            || substring(envelope FROM position('\xf601'::bytea IN envelope)) $$
    """)
    with engine.connect() as connection, pytest.raises(DecryptionError):
        connection.execute(query).all()


@pytest.fixture
def mallory(attack: psycopg.Connection, clinic):
    """Somebody else in the database, who may create objects in a schema of the search path."""
    attack.execute("CREATE ROLE mallory")
    attack.execute("GRANT CREATE, USAGE ON SCHEMA public TO mallory")
    attack.execute("GRANT USAGE ON SCHEMA vaultdb TO mallory")
    attack.execute("GRANT USAGE ON TYPE vaultdb.envelope TO mallory")
    attack.execute("SET ROLE mallory")
    yield attack
    attack.execute("RESET ROLE")
    attack.execute("DROP OWNED BY mallory")
    attack.execute("DROP ROLE mallory")


def test_an_operator_in_the_search_path_does_not_run_as_the_application(clinic, mallory):
    """PostgreSQL would prefer one that is declared for the domain itself (CVE-2018-1058)."""
    mallory.execute(
        "CREATE FUNCTION public.evil(bytea, vaultdb.envelope) RETURNS bytea LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'ran as %', current_user; END $$"
    )
    mallory.execute(
        "CREATE OPERATOR public.|| (LEFTARG = bytea, RIGHTARG = vaultdb.envelope,"
        " FUNCTION = public.evil)"
    )
    with clinic.connect() as connection:
        assert connection.scalar(select(patient.c.name).where(patient.c.id == 1)) == ADA["name"]


@pytest.mark.parametrize(
    "signature", ["nextval(text)", "nextval(varchar)", "pg_get_serial_sequence(varchar, varchar)"]
)
def test_a_function_in_the_search_path_does_not_make_the_keys(clinic, mallory, signature):
    mallory.execute(
        f"CREATE FUNCTION public.{signature} RETURNS bigint LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'ran as %', current_user; END $$"
    )
    mallory.execute("RESET ROLE")
    mallory.execute("SELECT setval('doctor_id_seq', 100)")
    with clinic.begin() as connection:
        made = connection.execute(insert(doctor).values(name="Dr No"))
        assert made.inserted_primary_key == (101,)
