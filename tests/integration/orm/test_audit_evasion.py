"""Ways to read or search past the audit log."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import delete, insert, lambda_stmt, select, union, update
from sqlalchemy.orm import Bundle, aliased, defer, load_only

import vaultdb
from tests.integration.orm.models import Patient
from vaultdb.audit.auditor import NullAuditor
from vaultdb.orm.runtime import runtime_of
from vaultdb.testing import RecordingAuditor

ADA = uuid.UUID(int=1)
TABLE = Patient.__table__


@pytest.fixture
def recorded(engine, session) -> RecordingAuditor:
    """A patient is there; what is done from now on is recorded."""
    session.add(Patient(id=ADA, name="Ada", ssn="1"))
    session.flush()
    session.expunge_all()
    auditor = RecordingAuditor()
    runtime_of(engine.dialect).audit_with(auditor)
    yield auditor
    runtime_of(engine.dialect).audit_with(NullAuditor())


@pytest.fixture(autouse=True)
def _dr_jones():
    with vaultdb.acting_as("dr-jones"):
        yield


@pytest.mark.parametrize("value", [True, False, 1, "yes", None])
def test_an_option_of_the_caller_does_not_hide_a_read(recorded, session, value):
    options = {"vaultdb_internal": value}

    session.execute(select(Patient.name), execution_options=options).all()

    assert len(recorded.of("data.read")) == 1


def _expired(session):
    patient = session.scalars(select(Patient)).one()
    session.expire(patient)
    return patient.name


def _refreshed(session):
    patient = session.scalars(select(Patient).options(load_only(Patient.id))).one()
    session.refresh(patient, ["name"])
    return patient.name


def _deferred(session):
    return session.scalars(select(Patient).options(defer(Patient.name))).one().name


WAYS = {
    "an alias": lambda session: session.scalar(select(aliased(Patient).name)),
    "an alias of the table": lambda session: session.scalar(select(TABLE.alias().c.name)),
    "Core in a Session": lambda session: session.connection().scalar(select(TABLE.c.name)),
    "a lambda": lambda session: session.scalar(lambda_stmt(lambda: select(Patient.name))),
    "a bundle": lambda session: session.scalar(select(Bundle("b", Patient.name))).name,
    "Query": lambda session: session.query(Patient).one().name,
    "Query of a column": lambda session: session.query(Patient.name).scalar(),
    "get()": lambda session: session.get(Patient, ADA).name,
    "merge()": lambda session: session.merge(Patient(id=ADA)).name,
    "from_statement()": lambda session: (
        session.scalars(select(Patient).from_statement(select(TABLE))).one().name
    ),
    "a frozen result": lambda session: session.execute(select(Patient.name)).freeze()().scalar(),
    "a union": lambda session: (
        session.execute(union(*[select(Patient.id, Patient.name)] * 2)).one().name
    ),
    "FOR UPDATE": lambda session: session.scalar(select(Patient.name).with_for_update()),
    "DELETE RETURNING": lambda session: session.scalar(delete(Patient).returning(Patient.name)),
    "INSERT RETURNING": lambda session: session.scalar(
        insert(Patient).values(name="Ada").returning(Patient.name)
    ),
    "expire()": _expired,
    "refresh()": _refreshed,
    "a deferred column": _deferred,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_whatever_way_a_value_comes_its_column_was_announced(recorded, session, way):
    assert way(session) == "Ada"
    assert "patient.name" in {
        c for read in recorded.of("data.read") for c in read.fields["columns"]
    }


@pytest.mark.parametrize(
    "statement",
    [
        update(Patient).where(Patient.ssn == "1").values(ward="x"),
        delete(Patient).where(Patient.ssn == "1"),
    ],
)
def test_a_search_by_a_write_is_recorded_though_it_is_rolled_back(recorded, session, statement):
    savepoint = session.begin_nested()
    options = {"synchronize_session": False}
    assert session.execute(statement, execution_options=options).rowcount == 1
    savepoint.rollback()

    (searched,) = recorded.of("data.searched")
    assert searched.fields["columns"] == ("patient.ssn",)
