"""What the audit log is told of reads, in every way to read."""

from __future__ import annotations

import threading
import uuid

import pytest
import pytest_asyncio
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import ResourceClosedError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, joinedload, selectinload

import vaultdb
from tests.integration.orm.models import Guardian, Patient, Visit
from vaultdb.audit.auditor import NullAuditor
from vaultdb.errors import AuditUnavailable, DecryptionError, PrincipalMissing
from vaultdb.orm.runtime import runtime_of
from vaultdb.testing import RecordingAuditor

ADA, BOB = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.fixture
def recorded(engine, session) -> RecordingAuditor:
    """Two patients are there; what is done from now on is recorded."""
    ada = Patient(id=ADA, name="Ada", ssn="1", visits=[Visit(note="n1"), Visit(note="n2")])
    session.add_all([ada, Patient(id=BOB, name="Bob", ssn="2", letter=b"dear")])
    session.flush()
    session.expunge_all()
    auditor = RecordingAuditor()
    runtime_of(engine.dialect).audit_with(auditor)
    yield auditor
    runtime_of(engine.dialect).audit_with(NullAuditor())


@pytest.fixture(autouse=True)
def _dr_jones():
    with vaultdb.acting_as("dr-jones", purpose="treatment", request="r-1"):
        yield


def keys(auditor):
    return [event.fields["keys"] for event in auditor.of("data.read-finished")]


def shown(names):
    return {vaultdb_row(name) for name in names}


def vaultdb_row(name):
    from vaultdb.audit.row_name import shown_key

    return shown_key(name.key)


def test_a_read_is_announced_with_who_why_and_what(recorded, session):
    session.scalars(select(Patient).order_by(Patient.ward)).all()

    (read,) = recorded.of("data.read")
    (finished,) = recorded.of("data.read-finished")
    assert read.acting == vaultdb.Acting("dr-jones", None, "treatment", "r-1")
    assert read.fields["tables"] == ("patient",)
    assert {"patient.name", "patient.ssn", "patient.born"} < set(read.fields["columns"])
    assert "patient.letter" not in read.fields["columns"]  # it is deferred
    assert finished.fields["of"] == read.fields["id"]
    assert finished.fields["rows"] == 2
    assert shown(finished.fields["keys"]) == {str(ADA), str(BOB)}
    assert finished.fields["more"] is None


def test_nothing_is_sent_before_the_intent_is_committed(recorded, session, sent):
    recorded.commit = lambda *_events: pytest.fail("recorded late") if sent else None
    session.connection()
    sent.clear()

    session.scalars(select(Patient)).all()

    assert sent


def test_no_plaintext_is_released_if_the_log_cannot_be_written(recorded, session, sent):
    session.connection()
    sent.clear()
    recorded.is_available = False

    with pytest.raises(AuditUnavailable):
        session.scalars(select(Patient)).all()

    assert sent == []


def test_a_statement_of_nobody_is_refused_before_it_is_sent(recorded, engine, sent):
    sent.clear()

    def read_and_write():
        with engine.connect() as connection:
            with pytest.raises(PrincipalMissing):
                connection.execute(select(Patient.name))
            with pytest.raises(PrincipalMissing):
                connection.execute(update(Patient).where(Patient.id == ADA).values(name="Eve"))

    in_new_context(read_and_write)

    assert sent == []
    assert [event.fields["reason"] for event in recorded.of("data.denied")] == [
        "PrincipalMissing",
        "PrincipalMissing",
    ]


def in_new_context(function):
    """A thread starts without anybody acting."""
    errors = []

    def run():
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def test_a_session_keeps_who_began_it_for_lazy_loads_elsewhere(recorded, session):
    bob = session.get(Patient, BOB)

    in_new_context(lambda: bob.letter)

    last = recorded.of("data.read")[-1]
    assert last.fields["columns"] == ("patient.letter",)
    assert last.acting.principal == "dr-jones"


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        (select(Patient.name), {"patient.name"}),
        (select(Patient.name.label("n"), Patient.ward), {"patient.name"}),
        (select(select(Patient.id, Patient.ssn).subquery()), {"patient.ssn"}),
        (
            select(Patient.id, Patient.ssn).union_all(select(Patient.id, Patient.ssn)),
            {"patient.ssn"},
        ),
        (select(Patient.name, Visit.note).join(Visit), {"patient.name", "visit.note"}),
        (
            update(Patient).where(Patient.id == ADA).values(ward="x").returning(Patient.name),
            {"patient.name"},
        ),
    ],
    ids=["column", "label", "subquery", "union", "join", "returning"],
)
def test_what_is_decrypted_is_known_from_the_statement(recorded, session, statement, columns):
    session.execute(statement).all()

    assert {each for read in recorded.of("data.read") for each in read.fields["columns"]} == columns


@pytest.mark.parametrize(
    "statement",
    [select(func.count()).select_from(Patient), select(Patient.ward), text("SELECT 1")],
    ids=["count", "plain column", "text"],
)
def test_a_statement_that_decrypts_nothing_is_not_a_read(recorded, session, statement):
    session.execute(statement).all()

    assert recorded.events == []


def test_a_search_that_decrypts_nothing_is_a_search(recorded, session):
    session.scalar(select(func.count()).select_from(Patient).where(Patient.ssn == "1"))

    (search,) = recorded.of("data.searched")
    assert search.fields["columns"] == ("patient.ssn",)
    assert recorded.of("data.read") == []


def test_a_search_that_decrypts_says_both(recorded, session):
    session.scalars(select(Patient.name).where(Patient.ssn == "1")).all()

    (read,) = recorded.of("data.read")
    assert (read.fields["columns"], read.fields["searched"]) == (
        ("patient.name",),
        ("patient.ssn",),
    )


@pytest.mark.parametrize("load", [joinedload, selectinload])
def test_relationships_are_read_with_their_parents(recorded, session, load):
    session.scalars(select(Patient).options(load(Patient.visits))).unique().all()

    tables = {table for read in recorded.of("data.read") for table in read.fields["tables"]}
    assert tables == {"patient", "visit"}
    assert sum(len(each) for each in keys(recorded)) == 4


def test_the_same_statement_has_the_same_fingerprint(recorded, session):
    for key in (ADA, BOB):
        session.scalars(select(Patient.name).where(Patient.id == key)).all()
    session.scalars(select(Patient.ssn).where(Patient.id == BOB)).all()

    first, second, other = [read.fields["statement"] for read in recorded.of("data.read")]
    assert first == second != other


def test_keys_are_named_up_to_the_limit_and_the_rest_is_counted(recorded, session):
    session.add_all(Patient(name=f"p{number}") for number in range(30))
    session.flush()
    session.expunge_all()

    session.scalars(select(Patient.name)).all()

    (finished,) = recorded.of("data.read-finished")
    assert len(finished.fields["keys"]) == recorded.key_limit == 20
    assert finished.fields["rows"] == 32
    assert finished.fields["more"] is True


def test_a_stream_is_counted_as_far_as_it_was_fetched(recorded, session):
    session.add_all(Patient(name=f"p{number}") for number in range(30))
    session.flush()
    session.expunge_all()

    result = session.scalars(select(Patient.name).execution_options(yield_per=5))
    for _, _name in zip(range(7), result, strict=False):
        assert recorded.of("data.read-finished") == []
    result.close()

    (finished,) = recorded.of("data.read-finished")
    assert finished.fields["rows"] == 10  # two fetches of five
    with pytest.raises(ResourceClosedError):
        result.one()


@pytest.mark.parametrize(
    "fetch",
    [
        lambda result: result.first(),
        lambda result: [result.fetchone(), result.fetchone(), result.fetchone()],
        lambda result: list(result.partitions(1)),
        lambda result: result.fetchmany(5),
    ],
    ids=["first", "fetchone", "partitions", "fetchmany"],
)
def test_every_way_to_fetch_is_finished_once(recorded, session, fetch):
    result = session.execute(select(Patient.name))
    fetch(result)
    result.close()

    (finished,) = recorded.of("data.read-finished")
    assert finished.fields["rows"] >= 1


def test_a_composite_key_is_named_in_full(recorded, session):
    session.add(Guardian(patient_id=ADA, no=3, phone="555"))
    session.flush()
    session.expunge_all()
    session.scalars(select(Guardian)).all()

    assert shown(keys(recorded)[0]) == {f"{ADA},3"}


def test_a_value_that_does_not_decrypt_is_named_with_its_reason(recorded, session):
    session.execute(
        text("UPDATE patient SET name = (SELECT name FROM patient"
             " WHERE id = :bob) WHERE id = :ada"), {"ada": ADA, "bob": BOB}
    )  # fmt: skip

    with pytest.raises(DecryptionError):
        session.scalars(select(Patient.name)).all()

    (failure,) = recorded.of("data.decryption-failed")
    assert failure.fields["column"] == "patient.name"
    assert vaultdb_row(failure.fields["key"]) == str(ADA)
    assert failure.fields["reason"]
    assert len(failure.fields["key_id"]) == 32
    assert failure.acting.principal == "dr-jones"


def test_a_session_signs_in_once(recorded, session, engine):
    session.scalars(select(Patient.name)).all()
    session.scalars(select(Patient.ssn)).all()
    with vaultdb.acting_as("dr-smith"):
        session.scalars(select(Patient.ssn)).all()
    with Session(engine) as other:
        other.scalars(select(Patient.name)).all()

    assert [event.acting.principal for event in recorded.of("session.signed-in")] == [
        "dr-jones",
        "dr-smith",
        "dr-jones",
    ]


def test_relaxed_mode_waits_for_nothing_but_sensitive_columns(recorded, session, monkeypatch):
    recorded.mode = type(recorded.mode)("relaxed")
    session.scalars(select(Patient.name)).all()
    assert recorded.committed == []

    options = Patient.__table__.c.letter.type.options
    object.__setattr__(options, "sensitive", True)
    try:
        session.scalars(select(Patient.letter, Patient.ward).where(Patient.id == BOB)).all()
    finally:
        object.__setattr__(options, "sensitive", False)

    (intent,) = [event for event in recorded.committed if event.kind.name == "data.read"]
    assert intent.fields["columns"] == ("patient.letter",)


def test_the_application_adds_events_of_its_own(recorded, session, engine):
    exported = vaultdb.audit.own_kind(10_001, "billing.exported", "It left.", ("invoice",))

    vaultdb.audit.emit(session, exported, invoice=7)
    vaultdb.audit.emit(engine, exported, invoice=8)

    assert [event.fields["invoice"] for event in recorded.of("billing.exported")] == [7, 8]
    assert [event.fields["invoice"] for event in recorded.committed] == [8]


@pytest_asyncio.fixture
async def async_engine(matrix, keyring):
    engine = create_async_engine(matrix.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    yield engine
    await engine.dispose()


@pytest.mark.asyncio
async def test_asynchronous_reads_are_recorded(async_engine):
    auditor = RecordingAuditor()
    runtime_of(async_engine.dialect).audit_with(auditor)
    key = uuid.uuid4()
    async with AsyncSession(async_engine) as session:
        session.add(Patient(id=key, name="Ada"))
        await session.flush()
        session.expunge_all()
        assert (await session.scalars(select(Patient.name).where(Patient.id == key))).all()
        result = await session.stream(select(Patient.name).where(Patient.id == key))
        assert [row async for row in result]
        await session.rollback()

    assert len(auditor.of("data.read")) == 2
    assert [event.fields["rows"] for event in auditor.of("data.read-finished")] == [1, 1]
    assert {event.acting.principal for event in auditor.events} == {"dr-jones"}
