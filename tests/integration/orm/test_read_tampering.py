"""What a writer to the tables can move about, and what reading makes of it."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, func, select, text, update
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload, selectinload

import vaultdb
from tests.integration.orm.models import Patient, Person, Visit
from vaultdb import Encrypted
from vaultdb.errors import DecryptionError


@pytest.fixture
def two(session):
    """Ada and Bob, each with a visit."""
    ada = Patient(name="Ada", ssn="1", visits=[Visit(note="a")])
    bob = Patient(name="Bob", ssn="2", visits=[Visit(note="b")])
    session.add_all([ada, bob])
    session.flush()
    session.expire_all()
    return ada.id, bob.id


def swap(session, column: str) -> None:
    """Exchange a column between the two rows, behind the ORM's back."""
    (first, a), (second, b) = session.execute(text(f"SELECT id, {column} FROM patient")).all()
    # An index may be unique: the first takes another value in between.
    neither = bytes(b[:-1]) + bytes([b[-1] ^ 255])
    for key, value in ((first, neither), (second, a), (first, b)):
        statement = text(f"UPDATE patient SET {column} = :value WHERE id = :key")
        session.execute(statement, {"value": value, "key": key})
    session.expire_all()


def reason(session, statement) -> str:
    with pytest.raises(DecryptionError, match=r"^the stored value cannot be decrypted$") as caught:
        session.execute(statement).unique().all()
    return str(caught.value.reason)


@pytest.mark.parametrize("column", ["name", "ssn"])
def test_two_rows_values_exchanged(session, two, column):
    swap(session, column)
    assert reason(session, select(getattr(Patient, column))) == "bad tag"
    assert reason(session, select(getattr(Patient, column)).order_by(Patient.id)) == "bad tag"


def test_a_value_moved_to_another_column_of_its_row(session, two):
    session.execute(text("UPDATE patient SET name = ssn"))
    assert reason(session, select(Patient.name)) == "bad tag"


def test_a_value_in_another_column_of_another_table(session, two):
    session.execute(text("UPDATE visit SET note = patient.name FROM patient"))
    assert reason(session, select(Visit.note)) == "bad tag"


def test_a_flipped_bit(session, two):
    flip = "set_byte(name, octet_length(name) - 1, 255 - get_byte(name, octet_length(name) - 1))"
    session.execute(text(f"UPDATE patient SET name = {flip}"))
    assert reason(session, select(Patient.name)) == "bad tag"


def test_another_key_id(session, two):
    session.execute(text("UPDATE patient SET name = set_byte(name, 2, 255 - get_byte(name, 2))"))
    assert reason(session, select(Patient.name)) == "unknown key"


def test_a_truncated_value(session, two):
    session.execute(text("UPDATE patient SET name = substr(name, 1, 61)"))
    assert reason(session, select(Patient.name)) == "bad tag"


# -- index values -------------------------------------------------------------------------------

inner = select(Patient.id, Patient.ssn.label("found")).where(Patient.ssn == "1").subquery()
alias = aliased(Patient)

SEARCHES = {
    "==": select(Patient.ssn).where(Patient.ssn == "1"),
    "!=": select(Patient.ssn).where(Patient.ssn != "1"),
    "in": select(Patient.ssn).where(Patient.ssn.in_(["1", "3"])),
    "order by": select(Patient.ssn).where(Patient.ssn == "1").order_by(Patient.id),
    "entity": select(Patient).where(Patient.ssn == "1"),
    "alias": select(alias.ssn).where(alias.ssn == "1"),
    "subquery": select(inner.c.found),
    "in a subquery of keys": select(Patient.ssn).where(
        Patient.id.in_(select(alias.id).where(alias.ssn == "1"))
    ),
    "joinedload with limit": select(Patient)
    .options(joinedload(Patient.visits))
    .where(Patient.ssn == "1")
    .limit(1),
    "joinedload of the searched": select(Visit)
    .join(Visit.patient)
    .options(contains_eager(Visit.patient))
    .where(Patient.ssn == "1"),
    "update returning": update(Patient)
    .where(Patient.ssn == "1")
    .values(ward="south")
    .returning(Patient.ssn),
}


@pytest.mark.parametrize("search", list(SEARCHES))
def test_two_index_values_exchanged(session, two, search):
    assert session.execute(SEARCHES[search]).unique().all()
    session.expire_all()
    swap(session, "ssn_index")
    assert reason(session, SEARCHES[search]) == "wrong index value"


@pytest.mark.parametrize("value", ["''", r"'\xb101'", r"'\xf6'", "ssn_index || ssn_index"])
def test_an_index_value_that_is_none(session, two, value):
    session.execute(
        text(f"UPDATE patient SET ssn_index = {value} WHERE id = :bob"), {"bob": two[1]}
    )
    with pytest.raises(DecryptionError):
        session.execute(select(Patient.ssn).where(Patient.ssn != "1")).all()


def test_columns_that_are_not_searched_are_not_verified(session, two):
    swap(session, "ssn_index")
    assert len(session.execute(select(Patient.ssn)).all()) == 2


def test_statements_that_do_not_return_the_column_are_not_protected(session, two):
    """As documented: nothing of the row says which value its index value is for."""
    _, bob = two
    swap(session, "ssn_index")
    found = select(Patient.id).where(Patient.ssn == "1")
    assert session.scalar(found) == bob
    assert session.scalar(select(func.count()).where(Patient.ssn == "1")) == 1


def test_a_loader_of_related_rows_verifies_nothing_and_needs_nothing(session, two):
    statement = select(Visit).options(selectinload(Visit.patient))
    assert {visit.patient.ssn for visit in session.scalars(statement)} == {"1", "2"}


# -- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [False, True])
def test_a_view_with_a_null_key_beside_a_value_is_an_error(database, keyring, order):
    metadata = MetaData()
    base = Table(
        "base",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", Encrypted(str, logical_name="base.name")),
    )
    view = base.to_metadata(MetaData(), name="keyless")
    database.create_all(metadata)
    with database.connect() as connection:
        connection.execute("CREATE VIEW keyless AS SELECT NULLIF(id, 2) AS id, name FROM base")
        connection.execute("GRANT SELECT ON keyless TO vaultdb_rw")
    engine = vaultdb.create_engine(database.sqlalchemy_url, keyring=keyring)
    with engine.begin() as connection:
        connection.execute(base.insert(), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
        statement = select(view.c.name)
        assert connection.scalars(statement.where(view.c.id == 1)).all() == ["a"]
        statement = statement.order_by(view.c.id) if order else statement
        assert reason(connection, statement) == "no row"
    engine.dispose()


def test_a_left_join_without_a_match_is_null(session, two):
    statement = select(Person.ssn, Patient.name).join(Person, Person.ssn.is_(None), isouter=True)
    assert {row.ssn for row in session.execute(statement.select_from(Patient))} == {None}


# -- tenants ------------------------------------------------------------------------------------


@pytest.fixture
def owned(database, keyring):
    metadata = MetaData()
    table = Table(
        "owned",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("tenant", Integer),
        Column("free", Encrypted(str)),
        Column("secret", Encrypted(str, tenant_column="tenant")),
        Column("loose", Encrypted(str, tenant_column="tenant", bind="column")),
    )
    database.create_all(metadata)
    engine = vaultdb.create_engine(database.sqlalchemy_url, keyring=keyring)
    with vaultdb.acting_as("writer", tenant="7"), Session(engine) as session:
        row = {"id": 1, "tenant": 7, "free": "f", "secret": "s", "loose": "l"}
        session.execute(table.insert(), row)
        session.commit()
    yield engine, table
    engine.dispose()


def test_a_tenant_reads_its_own(owned):
    engine, table = owned
    with vaultdb.acting_as("reader", tenant="7"), engine.connect() as connection:
        assert connection.execute(select(table)).one() == (1, 7, "f", "s", "l")


@pytest.mark.parametrize("column", ["free", "secret", "loose"])
def test_another_tenant_does_not(owned, column):
    engine, table = owned
    with vaultdb.acting_as("reader", tenant="8"), engine.connect() as connection:
        assert reason(connection, select(table.c[column])) == "wrong scope"


@pytest.mark.parametrize("value", ["8", "NULL"])
def test_a_row_given_to_another_tenant_is_not_read_where_the_column_says_so(owned, value):
    engine, table = owned
    with vaultdb.acting_as("reader", tenant="7"), engine.connect() as connection:
        connection.execute(text(f"UPDATE owned SET tenant = {value}"))
        assert connection.scalar(select(table.c.free)) == "f"
        for column in (table.c.secret, table.c.loose):
            assert reason(connection, select(column)) == "wrong scope"
            assert reason(connection, select(column).order_by(table.c.id)) == "wrong scope"
