"""Ways to read or search past the audit log."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import delete, select, update

import vaultdb
from tests.integration.orm.models import Patient
from vaultdb.audit.auditor import NullAuditor
from vaultdb.orm.runtime import runtime_of
from vaultdb.testing import RecordingAuditor


@pytest.fixture
def recorded(engine, session) -> RecordingAuditor:
    """A patient is there; what is done from now on is recorded."""
    session.add(Patient(id=uuid.UUID(int=1), name="Ada", ssn="1"))
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
