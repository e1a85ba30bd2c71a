"""What the audit log is told of writes: which rows, under which keys, never a value."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

import vaultdb
from tests.integration.orm.models import Patient, core_note
from vaultdb.audit.auditor import NullAuditor
from vaultdb.audit.chain import Chain
from vaultdb.audit.event import Identity
from vaultdb.audit.row_name import shown_key
from vaultdb.errors import AuditUnavailable, StatementRefused
from vaultdb.orm.bulk import copy_in
from vaultdb.orm.runtime import runtime_of
from vaultdb.testing import RecordingAuditor

ADA, BOB = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.fixture
def recorded(engine, session) -> RecordingAuditor:
    session.add_all([Patient(id=ADA, name="Ada", ssn="1"), Patient(id=BOB, name="Bob")])
    session.flush()
    auditor = RecordingAuditor()
    runtime_of(engine.dialect).audit_with(auditor)
    with vaultdb.acting_as("dr-jones"):
        yield auditor
    runtime_of(engine.dialect).audit_with(NullAuditor())


def written(auditor):
    return [event.fields for event in auditor.of("data.written")]


def shown(fields):
    return sorted(shown_key(name.key) for name in fields["keys"])


def test_a_flush_says_what_changed_under_which_keys(recorded, session):
    ada = session.get(Patient, ADA)
    ada.name = "Countess"
    session.flush()

    (fields,) = written(recorded)
    assert (fields["operation"], fields["table"], fields["rows"]) == ("update", "patient", 1)
    assert fields["columns"] == ["name"]
    assert shown(fields) == [str(ADA)]
    assert fields["before"] == fields["after"]  # the key is still the same
    assert len(fields["after"][0]) == 32


def test_an_insert_has_nothing_before(recorded, session):
    key = uuid.uuid4()
    session.add(Patient(id=key, name="Eve", ssn="3"))
    session.flush()

    (fields,) = written(recorded)
    assert fields["operation"] == "insert"
    assert {"name", "ssn"} <= set(fields["columns"])
    assert shown(fields) == [str(key)]
    assert fields["before"] is None
    assert len(fields["after"]) == 1


def test_a_deleted_object_is_named(recorded, session):
    session.delete(session.get(Patient, ADA))
    session.flush()

    (fields,) = written(recorded)
    assert (fields["operation"], fields["rows"]) == ("delete", 1)
    assert shown(fields) == [str(ADA)]
    assert len(fields["before"]) == 1
    assert fields["after"] is None


@pytest.mark.parametrize(
    ("statement", "operation", "rows"),
    [
        (update(Patient).where(Patient.id == ADA).values(name="x"), "update", 1),
        (update(Patient).values(ssn=None), "update", 2),
        (delete(Patient).where(Patient.ward == "north"), "delete", 2),
        (delete(Patient).where(Patient.ssn == "1"), "delete", 1),
    ],
    ids=["update by key", "update of all", "delete by condition", "delete by search"],
)
def test_statements_are_counted_and_their_keys_before_are_known(
    recorded, session, statement, operation, rows
):
    session.execute(statement.execution_options(synchronize_session=False))

    (fields,) = written(recorded)
    assert (fields["operation"], fields["rows"]) == (operation, rows)
    assert len(fields["before"]) == 1


def test_many_updates_are_one_event_and_one_question(recorded, session, sent):
    sent.clear()
    statement = update(Patient.__table__).where(Patient.id == bindparam("key"))
    session.connection().execute(
        statement.values(name=bindparam("new")),
        [{"key": ADA, "new": "one"}, {"key": BOB, "new": "two"}],
    )

    (fields,) = written(recorded)
    assert fields["rows"] == 2
    assert shown(fields) == [str(ADA), str(BOB)]
    assert len([each for each in sent if each.startswith("SELECT")]) == 1


def test_many_rows_are_one_event_with_the_first_keys(recorded, session):
    session.execute(insert(core_note), [{"id": i, "body": f"b{i}"} for i in range(100, 150)])

    (fields,) = written(recorded)
    assert fields["rows"] == 50
    assert len(fields["keys"]) == 20
    assert fields["more"] is True


def test_an_upsert_says_so(recorded, session):
    statement = upsert(core_note).values(id=7, body="b")
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[core_note.c.id], set_={"body": statement.excluded.body}
        )
    )

    (fields,) = written(recorded)
    assert fields["operation"] == "upsert"


def test_copied_rows_are_one_event(recorded, session):
    copy_in(session, Patient, ({"name": f"p{i}"} for i in range(30)), batch_rows=7)

    (fields,) = written(recorded)
    assert (fields["operation"], fields["rows"], len(fields["keys"])) == ("copy", 30, 20)


def test_a_write_that_encrypts_nothing_is_not_recorded(recorded, session):
    session.execute(update(Patient).where(Patient.id == ADA).values(ward="south"))

    assert written(recorded) == []


def test_nothing_is_written_if_the_log_cannot_be(recorded, engine, session):
    recorded.is_available = False

    with pytest.raises(AuditUnavailable):
        session.execute(update(Patient).where(Patient.id == ADA).values(name="x"))


def test_a_refused_write_is_a_denial(recorded, session):
    with pytest.raises(StatementRefused):
        session.execute(update(Patient).values(name="x"))

    (denied,) = recorded.of("data.denied")
    assert denied.fields == {"what": "write patient", "reason": "StatementRefused"}


def test_no_value_is_in_any_event(recorded, session):
    session.add(Patient(name="Rumpelstiltskin", ssn="900-12-3456", notes={"a": "Rumpel"}))
    session.flush()
    session.expunge_all()
    session.scalars(select(Patient).where(Patient.ssn == "900-12-3456")).one().name = "Rumpel"
    session.flush()
    session.execute(delete(Patient).where(Patient.ssn == "900-12-3456"))

    chain, _ = Chain.new()
    text = "".join(event.body(Identity("app"), chain) for event in recorded.events)

    assert text.count("data.written") == 3
    assert "Rumpel" not in text
    assert "3456" not in text


def test_a_session_that_writes_first_signs_in(recorded, engine):
    with Session(engine) as session:
        session.add(Patient(name="x"))
        session.flush()

    assert [event.kind.name for event in recorded.events] == ["session.signed-in", "data.written"]
