"""No error, log or warning shows a value: not PostgreSQL's, not SQLAlchemy's, not our own.

Secrets are put together at run time, so that a source line in a traceback cannot show them. What a
traceback printer that prints local variables would show is out of reach, and documented.
"""

from __future__ import annotations

import logging
import pickle
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    create_engine,
    exc,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session, registry

import vaultdb
from tests.fixtures.postgres import Database
from tests.integration.leaks import find, make, no_leak, places
from vaultdb import Encrypted, Equality
from vaultdb.errors import DecryptionError, ValueRefused, VaultDBError
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.vault.providers.memory import MemoryProvider

metadata = MetaData()
note = Table(
    "leak_note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("plain", String(30), CheckConstraint("plain <> 'forbidden'"), nullable=False),
    Column("body", Encrypted(str)),
    Column("ssn", Encrypted(str, index=Equality(unique=True))),
    Column("number", Encrypted(int)),
    UniqueConstraint("plain"),
)


class Note:
    """A mapped class over the table."""


registry().map_imperatively(Note, note)


BODY = make("bo", "dy", "41")
SSN = make("ss", "n", "42")
PLAIN = make("pl", "ain", "43")


def new_keyring(realm: uuid.UUID) -> Keyring:
    return Keyring(realm=realm, provider=MemoryProvider(), store=MemoryKeyStore(), create_keys=True)


@pytest.fixture
def keyring(realm) -> Iterator[Keyring]:
    keyring = new_keyring(realm)
    yield keyring
    keyring.close()


@pytest.fixture
def engine(database: Database, keyring: Keyring) -> Iterator[Engine]:
    """An engine that logs as much as it can: statements, parameters and rows."""
    database.create_all(metadata)
    engine = create_engine(database.sqlalchemy_url, echo="debug")
    vaultdb.install(engine, keyring=keyring)
    # pytest's handler sits at the root; SQLAlchemy's own would print everything a second time
    logger = logging.getLogger("sqlalchemy.engine.Engine")
    for handler in [h for h in logger.handlers if not isinstance(h, logging.NullHandler)]:
        logger.removeHandler(handler)
    yield engine
    engine.dispose()


def row(**changes) -> dict[str, object]:
    return {"id": 1, "plain": PLAIN, "body": BODY, "ssn": SSN, **changes}


def write(engine: Engine, *rows: dict[str, object]) -> None:
    with engine.begin() as connection:
        connection.execute(insert(note), list(rows) or [row()])


SQLSTATES = {
    "22P02": lambda e: run(e, text("SELECT (:x)::int"), {"x": BODY}),
    "22007": lambda e: run(e, text("SELECT (:x)::date"), {"x": BODY}),
    "22001": lambda e: write(e, row(plain=PLAIN * 9)),
    "23502": lambda e: write(e, row(plain=None)),
    "23505 on a plain column": lambda e: write(e, row(), row(id=2, ssn=None)),
    "23505 on a blind index": lambda e: write(e, row(), row(id=2, plain="other")),
    "23505 on the key": lambda e: write(e, row(), row()),
    "23514": lambda e: write(e, row(plain="forbidden")),
    "23514 on the domain": lambda e: run(
        e, text("INSERT INTO leak_note (id, plain, body) VALUES (1, 'x', :b)"), {"b": BODY.encode()}
    ),
    "42501": lambda e: run(e, text("SELECT set_config('log_statement', :x, false)"), {"x": BODY}),
    "42P01": lambda e: run(e, text("INSERT INTO nowhere VALUES (:x)"), {"x": BODY}),
    "57014": lambda e: slow(e),  # noqa: PLW0108 - defined below
    "P0001": lambda e: run(
        e, text("DO $$ BEGIN RAISE EXCEPTION 'no %', current_setting('a.b'); END $$")
    ),
}


def run(engine: Engine, statement, parameters=None) -> None:
    with engine.begin() as connection:
        connection.execute(text("SELECT set_config('a.b', :x, true)"), {"x": BODY})
        connection.execute(statement, parameters or {})


def slow(engine: Engine) -> None:
    write(engine)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL statement_timeout = 20"))
        connection.execute(select(note.c.body, func.pg_sleep(9)).where(note.c.ssn == SSN))


@pytest.mark.parametrize("fail", [pytest.param(f, id=n) for n, f in SQLSTATES.items()])
def test_an_error_of_postgresql(fail, request, engine, caplog):
    with no_leak(caplog, BODY, SSN, PLAIN) as error:
        fail(engine)
    raised = error()
    assert isinstance(raised, exc.DBAPIError)
    assert raised.orig.sqlstate in request.node.callspec.id
    assert raised.params is None
    assert "values are withheld" in str(raised)


def test_the_names_that_a_program_needs_are_kept(engine):
    write(engine)
    with pytest.raises(exc.IntegrityError) as caught:
        write(engine, row(id=2, plain="other"))
    diag = caught.value.orig.diag
    assert isinstance(caught.value.orig, psycopg.errors.UniqueViolation)
    assert (diag.sqlstate, diag.table_name) == ("23505", "leak_note")
    assert diag.constraint_name
    assert diag.constraint_name in str(caught.value)
    assert diag.message_detail is None


def test_a_lost_connection(engine, caplog):
    """08006: the server goes away with the statement."""
    with no_leak(caplog, BODY, SSN, PLAIN) as error:
        write(engine)
        with engine.begin() as connection:
            connection.execute(
                select(note.c.body, func.pg_terminate_backend(func.pg_backend_pid())).where(
                    note.c.ssn == SSN
                )
            )
    assert isinstance(error(), exc.OperationalError)
    assert getattr(error().orig, "pgconn", None) is None  # it would hold the password


def test_an_error_in_the_middle_of_a_stream(engine, caplog):
    write(engine, *(row(id=i, plain=f"{PLAIN}{i}", ssn=f"{SSN}{i}") for i in range(50)))
    statement = text("SELECT id, 1 / (40 - id) AS q FROM leak_note WHERE :x <> '' ORDER BY id")
    with no_leak(caplog, BODY) as error, engine.connect() as connection:
        streaming = connection.execution_options(yield_per=5)
        list(streaming.execute(statement, {"x": BODY}))
    assert error().orig.sqlstate == "22012"


def test_a_deferred_constraint_that_fails_at_commit(engine, database, caplog):
    with database.connect() as admin:
        admin.execute(
            "ALTER TABLE leak_note ADD CONSTRAINT late UNIQUE (plain) DEFERRABLE INITIALLY DEFERRED"
        )
        admin.execute("ALTER TABLE leak_note DROP CONSTRAINT leak_note_plain_key")
    with no_leak(caplog, BODY, SSN, PLAIN) as error:
        write(engine, row(), row(id=2, ssn=None))
    assert isinstance(error(), exc.IntegrityError)


def test_the_session_repeats_only_what_the_error_said(engine, caplog):
    write(engine)
    with no_leak(caplog, BODY, SSN, PLAIN), Session(engine) as session:
        for word in ("first", "second"):
            changed = Note()
            changed.id, changed.plain, changed.body, changed.ssn = 1, PLAIN, BODY, word + SSN
            session.add(changed)
            try:
                session.flush()
            except exc.IntegrityError:
                session.execute(select(note.c.id))  # PendingRollbackError quotes the first


def test_an_error_survives_pickling_without_values(engine):
    with pytest.raises(exc.IntegrityError) as caught:
        write(engine, row(), row(id=2, plain="other"))
    again = pickle.loads(pickle.dumps(caught.value))
    assert not any(find(s, shown) for _, shown in places(again) for s in (BODY, SSN, PLAIN))


# -- values, keys and parameters ----------------------------------------------------------------


def tampered(database: Database, position: int) -> None:
    """Flip one bit of the stored body."""
    with database.connect() as admin:
        admin.execute(
            "UPDATE leak_note SET body = set_byte(body, %(i)s, get_byte(body, %(i)s) # 1)",
            {"i": position},
        )


def read(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(select(note)).all()


def test_a_bad_tag(engine, database, caplog):
    write(engine)
    tampered(database, 60)
    with no_leak(caplog, BODY, SSN) as error:
        read(engine)
    assert type(error()) is DecryptionError


def test_an_unknown_key(engine, database, caplog):
    write(engine)
    tampered(database, 5)  # inside the key id, see docs/explanation/format.md
    with no_leak(caplog, BODY, SSN) as error:
        read(engine)
    assert isinstance(error(), VaultDBError)


def test_a_wrong_key(engine, database, realm, caplog):
    write(engine)
    keyring = new_keyring(realm)
    other = create_engine(database.sqlalchemy_url)
    vaultdb.install(other, keyring=keyring)
    with no_leak(caplog, BODY, SSN) as error:
        read(other)
    assert isinstance(error(), VaultDBError)
    other.dispose()
    keyring.close()


def test_a_value_from_another_row(engine, database, caplog):
    write(engine, row(), row(id=2, plain="other", ssn=None, body=make("an", "other")))
    with database.connect() as admin:
        admin.execute("UPDATE leak_note SET body = (SELECT body FROM leak_note WHERE id = 2)")
    with no_leak(caplog, BODY, SSN, make("an", "other")) as error:
        read(engine)
    assert type(error()) is DecryptionError


@pytest.mark.parametrize(
    "change",
    [
        {"body": 7},
        {"number": BODY},
        {"body": BODY + "\x00"},
        {"body": BODY + "\ud800"},
        {"ssn": [SSN]},
        {"number": 1 << 70},
    ],
    ids=["type", "text as int", "NUL", "surrogate", "list", "large int"],
)
def test_a_refused_value(change, engine, caplog):
    with no_leak(caplog, BODY, SSN, str(1 << 70)) as error:
        write(engine, row(**change))
    assert isinstance(error(), ValueRefused)


def test_a_refused_value_in_a_search(engine, caplog):
    with no_leak(caplog, BODY, SSN) as error, engine.connect() as connection:
        connection.execute(select(note.c.id).where(note.c.ssn == [SSN]))
    assert isinstance(error(), VaultDBError)


def test_a_refused_value_in_a_search_by_parameter(engine, caplog):
    statement = select(note.c.id).where(note.c.ssn == bindparam("wanted"))
    with no_leak(caplog, BODY, SSN) as error, engine.connect() as connection:
        connection.execute(statement, {"wanted": [SSN]})
    assert isinstance(error(), VaultDBError)


def test_a_missing_parameter(engine, caplog):
    statement = select(note.c.id).where(note.c.ssn == bindparam("wanted"), note.c.plain == PLAIN)
    with no_leak(caplog, BODY, SSN, PLAIN) as error, engine.connect() as connection:
        connection.execute(statement, {"wnated": SSN})
    assert isinstance(error(), exc.StatementError)


def test_a_parameter_that_the_driver_refuses(engine, caplog):
    class Odd:
        def __repr__(self) -> str:
            return BODY

    with no_leak(caplog, SSN, PLAIN), engine.connect() as connection:
        connection.execute(text("SELECT :a, :b, :c"), {"a": SSN, "b": Odd(), "c": PLAIN})


def test_a_refused_update(engine, caplog):
    write(engine)
    with no_leak(caplog, BODY, SSN, PLAIN), engine.begin() as connection:
        connection.execute(update(note).where(note.c.plain == PLAIN).values(body=BODY))


def test_an_engine_that_was_never_prepared(database, realm, caplog):
    database.create_all(metadata)
    bare = create_engine(database.sqlalchemy_url)
    with no_leak(caplog, BODY, SSN) as error, bare.begin() as connection:
        connection.execute(insert(note), [row()])
    assert isinstance(error(), VaultDBError)
    assert "install" in str(error())
    bare.dispose()


# -- logs without an error ----------------------------------------------------------------------


def test_logs_of_statements_and_rows(engine, caplog):
    """echo="debug" prints every row after decryption: the decrypted columns are covered."""
    caplog.set_level(logging.DEBUG)
    write(engine)
    with engine.connect() as connection:
        found = connection.execute(select(note).where(note.c.ssn == SSN)).one()
    assert (found.body, found.ssn) == (BODY, SSN)
    with Session(engine) as session:
        assert session.get(Note, 1).body == BODY
        session.scalars(select(Note)).one().body = BODY + "!"
        session.commit()
    for record in caplog.records:
        assert not find(BODY, record.getMessage())
        assert not find(SSN, record.getMessage())


def test_a_row_in_the_log_still_shows_what_is_not_encrypted(engine, caplog):
    write(engine, row(plain="visible"))
    caplog.set_level(logging.DEBUG)
    with engine.connect() as connection:
        connection.execute(select(note.c.id, note.c.plain, note.c.body)).all()
    assert "Row (1, 'visible', <decrypted>)" in [r.getMessage() for r in caplog.records]
