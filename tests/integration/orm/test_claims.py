"""Row-level security on who acts: a real PostgreSQL hides the rows of others."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

import vaultdb
from tests.fixtures.postgres import Database, Postgres
from vaultdb import Acting, acting_as, encrypted
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import DecryptionError, StatementRefused
from vaultdb.orm import claims
from vaultdb.orm.scope import PRINCIPAL_KEY
from vaultdb.roles.access import access
from vaultdb.roles.statements import statements
from vaultdb.roles.wanted import wanted_facts

NORTH, SOUTH = "acme", "globex"
NOBODY = uuid.UUID(int=0)
SET = "pg_catalog.set_config('vaultdb.tenant'"


class Base(DeclarativeBase):
    metadata = MetaData()


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    body: Mapped[str] = mapped_column(default="")
    secret: Mapped[str | None] = encrypted(str, nullable=True, tenant_column="tenant_id")


class Diary(Base):
    __tablename__ = "diary"
    id: Mapped[int] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    owner_id: Mapped[uuid.UUID]


plain = Table("plain", Base.metadata, Column("id", Integer, primary_key=True))


def _declare() -> None:
    access(Note, tenant="tenant_id")
    access(Diary, tenant="tenant_id", principal="owner_id")
    access(plain)


@pytest.fixture(scope="module")
def guarded(postgres: Postgres) -> Iterator[Database]:
    """The tables as declared, with access as declared and nothing more."""
    database = postgres.create_database()
    _declare()
    wanted = wanted_facts(Base.metadata, RoleNames())
    engine = create_engine(database.migrate_url.replace("postgresql", "postgresql+psycopg", 1))
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        for statement in statements(wanted, (), wanted=wanted):
            connection.exec_driver_sql(statement)
    engine.dispose()
    with database.connect() as connection:
        connection.execute("GRANT USAGE ON SCHEMA public TO vaultdb_rw")
    yield database
    postgres.drop_database(database.name)


@pytest.fixture
def engine(guarded: Database, keyring) -> Iterator[Engine]:
    """An engine on one connection, with rows of two tenants."""
    _declare()  # every test begins without
    with guarded.connect() as connection:
        connection.execute("TRUNCATE note, diary, plain RESTART IDENTITY")
    engine = create_engine(guarded.sqlalchemy_url, pool_size=1, max_overflow=0)
    vaultdb.install(engine, keyring=keyring)
    for tenant in (NORTH, SOUTH):
        with acting_as("setup", tenant=tenant), Session(engine) as session:
            session.add_all(Note(tenant_id=tenant, body=f"{tenant} {n}") for n in range(2))
            session.commit()
    yield engine
    engine.dispose()


@pytest.fixture
def sent(engine: Engine) -> list[str]:
    noted: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: noted.append(sql))
    return noted


def _bodies(session) -> set[str]:
    return set(session.scalars(select(Note.body)))


def test_a_session_sees_the_rows_of_its_tenant_only(engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        assert _bodies(session) == {"acme 0", "acme 1"}
        assert session.scalar(text("SELECT count(*) FROM note")) == 2


def test_core_and_driver_sql_see_the_rows_of_their_tenant_only(engine):
    with acting_as("ann", tenant=SOUTH), engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM note").scalar() == 2
        assert _bodies(connection) == {"globex 0", "globex 1"}


def test_nobody_sees_no_row_and_neither_does_somebody_without_a_tenant(engine):
    with Session(engine) as session:
        assert _bodies(session) == set()
    with acting_as("ann"), Session(engine) as session:
        assert _bodies(session) == set()


def test_the_tenant_of_the_engine_counts_where_no_other_is_named(guarded, engine, keyring):
    northern = create_engine(guarded.sqlalchemy_url)
    vaultdb.install(northern, keyring=keyring, tenant=NORTH)
    with Session(northern) as session:
        assert _bodies(session) == {"acme 0", "acme 1"}
    with acting_as("ann"), Session(northern) as session:
        assert _bodies(session) == {"acme 0", "acme 1"}
    with acting_as("ann", tenant=SOUTH), Session(northern) as session:
        assert _bodies(session) == {"globex 0", "globex 1"}
    northern.dispose()


def test_the_principal_in_the_session_counts_where_context_variables_get_lost(engine):
    with Session(engine, info={PRINCIPAL_KEY: Acting("ann", tenant=NORTH)}) as session:
        assert _bodies(session) == {"acme 0", "acme 1"}


def test_a_session_keeps_its_tenant_after_the_block_that_it_began_in(engine):
    with Session(engine) as session:
        with acting_as("ann", tenant=NORTH):
            session.begin()
            assert len(_bodies(session)) == 2
        assert _bodies(session) == {"acme 0", "acme 1"}


def test_claims_are_sent_again_after_a_commit_and_after_a_rollback(engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        for end in (session.commit, session.rollback, session.commit):
            assert _bodies(session) == {"acme 0", "acme 1"}
            end()
    with acting_as("ann", tenant=NORTH), engine.connect() as connection:
        assert len(_bodies(connection)) == 2
        connection.rollback()
        assert len(_bodies(connection)) == 2


def test_claims_are_sent_again_after_the_savepoint_that_they_were_sent_in(engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        nested = session.begin_nested()
        assert len(_bodies(session)) == 2
        nested.rollback()
        assert len(_bodies(session)) == 2


def test_a_rolled_back_savepoint_does_not_bring_the_tenant_before_it_back(engine):
    with engine.connect() as connection:
        with acting_as("ann", tenant=NORTH):
            assert _bodies(connection) == {"acme 0", "acme 1"}
        savepoint = connection.begin_nested()
        with acting_as("bob", tenant=SOUTH):
            assert _bodies(connection) == {"globex 0", "globex 1"}
            savepoint.rollback()
            assert _bodies(connection) == {"globex 0", "globex 1"}


def test_a_failed_statement_in_a_savepoint_leaves_the_transaction_usable(engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        with pytest.raises(DBAPIError, match="division by zero"), session.begin_nested():
            session.execute(text("SELECT 1 / 0"))
        assert _bodies(session) == {"acme 0", "acme 1"}


@pytest.mark.parametrize("ahead", ["", " \n", "/* app */ /* route */", "-- app\n"])
def test_a_textual_rollback_to_a_savepoint_is_noticed(engine, ahead):
    with engine.connect() as connection:
        with acting_as("ann", tenant=NORTH):
            assert len(_bodies(connection)) == 2
        connection.exec_driver_sql("SAVEPOINT here")
        with acting_as("bob", tenant=SOUTH):
            assert len(_bodies(connection)) == 2
            connection.exec_driver_sql(f"{ahead}ROLLBACK TO here")
            assert _bodies(connection) == {"globex 0", "globex 1"}


def test_sessions_of_two_tenants_take_turns_on_one_pooled_connection(engine):
    pids = set()
    for _ in range(3):
        for tenant in (NORTH, SOUTH):
            with acting_as("ann", tenant=tenant), Session(engine) as session:
                assert _bodies(session) == {f"{tenant} 0", f"{tenant} 1"}
                pids.add(session.scalar(text("SELECT pg_backend_pid()")))
    with Session(engine) as session:
        assert _bodies(session) == set()
    assert len(pids) == 1


def test_what_is_set_for_a_whole_session_by_injected_sql_does_not_reach_the_next(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT set_config('vaultdb.tenant', '{SOUTH}', false)")
        connection.commit()
    with Session(engine) as session:
        assert _bodies(session) == set()
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        assert _bodies(session) == {"acme 0", "acme 1"}


def test_injected_sql_can_be_any_tenant_but_decrypts_nothing_of_it(engine):
    """What SECURITY.md says of claims: they are no boundary against SQL injection."""
    with acting_as("bob", tenant=SOUTH), Session(engine) as session:
        session.scalars(select(Note)).first().secret = "hidden"
        session.commit()
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        injected = "body = '' OR set_config('vaultdb.tenant', 'globex', true) = 'globex'"
        session.scalars(select(Note.id).where(text(injected))).all()
        assert _bodies(session) == {"globex 0", "globex 1"}
        with pytest.raises(DecryptionError):
            session.scalars(select(Note.secret).where(Note.secret.is_not(None))).all()


def test_a_row_cannot_be_inserted_for_another_tenant_nor_moved_there(engine):
    with acting_as("ann", tenant=NORTH), engine.connect() as connection:
        with pytest.raises(DBAPIError, match="row-level security"):
            connection.execute(insert(Note.__table__), {"tenant_id": SOUTH, "body": "b"})
        connection.rollback()
        with pytest.raises(DBAPIError, match="row-level security"):
            connection.execute(update(Note.__table__).values(tenant_id=SOUTH))
        connection.rollback()
        changed = connection.execute(update(Note.__table__).values(body="mine"))
        assert changed.rowcount == 2


def test_an_owner_sees_its_own_rows_within_its_tenant(engine):
    ann, bob = uuid.UUID(int=1), uuid.UUID(int=2)
    for tenant, owner in [(NORTH, ann), (NORTH, bob), (SOUTH, ann)]:
        with acting_as(str(owner), tenant=tenant), Session(engine) as session:
            session.add(Diary(tenant_id=tenant, owner_id=owner))
            session.commit()
    with acting_as(str(ann), tenant=NORTH), Session(engine) as session:
        (found,) = session.scalars(select(Diary))
        assert (found.tenant_id, found.owner_id) == (NORTH, ann)
    with acting_as(str(bob), tenant=SOUTH), Session(engine) as session:
        assert session.scalars(select(Diary)).all() == []


def test_encrypted_values_of_the_tenant_are_written_and_read(engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        for note in session.scalars(select(Note)):
            note.secret = "hidden"
        session.commit()
        assert session.scalars(select(Note.secret)).all() == ["hidden", "hidden"]


def test_one_statement_is_added_to_each_transaction(engine, sent):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        for _ in range(2):
            for _ in range(3):
                session.execute(select(plain.c.id))
            session.commit()
    assert [SET in statement for statement in sent] == 2 * [True, False, False, False]


def test_nothing_is_added_where_no_table_declares_policies(engine, sent, monkeypatch):
    monkeypatch.setattr(claims, "_guarded", set())
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        session.execute(select(plain.c.id))
        session.commit()
    assert len(sent) == 1


def test_another_principal_in_the_same_transaction_costs_one_more(engine, sent):
    with engine.connect() as connection:
        for principal in ("ann", "ann", "bob"):
            with acting_as(principal, tenant=NORTH):
                connection.execute(select(plain.c.id))
    assert [SET in statement for statement in sent] == [True, False, False, True, False]


def test_a_transaction_can_still_begin_with_its_own_settings(engine):
    with acting_as("ann", tenant=NORTH), engine.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY")
        assert len(_bodies(connection)) == 2
        assert connection.scalar(text("SHOW transaction_isolation")) == "serializable"


def test_claims_are_there_before_a_streamed_result(engine):
    with acting_as("ann", tenant=NORTH), engine.connect() as connection:
        streaming = connection.execution_options(stream_results=True, yield_per=1)
        assert sorted(streaming.scalars(select(Note.body))) == ["acme 0", "acme 1"]


def test_prepared_statements_see_the_tenant_of_each_transaction(engine):
    found = select(Note.body).where(Note.body.endswith("0"))
    for tenant in [NORTH, SOUTH] * 8:  # psycopg prepares at the fifth execution
        with acting_as("ann", tenant=tenant), Session(engine) as session:
            assert session.scalar(found) == f"{tenant} 0"
            session.commit()  # a rollback would forget what is prepared
    with engine.connect() as connection:
        prepared = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements")
        texts = prepared.scalars().all()
    assert any("FROM note" in each for each in texts)
    assert any(SET in each for each in texts)


def test_many_rows_in_one_pipeline_are_written_for_the_tenant(engine):
    with acting_as("ann", tenant=NORTH), engine.begin() as connection:
        driver = connection.connection.driver_connection
        rows = [{"tenant_id": NORTH, "body": f"p{n}"} for n in range(5)]
        with driver.pipeline():
            connection.execute(insert(Note.__table__), rows)
        assert len(_bodies(connection)) == 7


def test_two_phase_transactions_are_told_too(engine):
    with acting_as("ann", tenant=NORTH), Session(engine, twophase=True) as session:
        assert len(_bodies(session)) == 2


def test_autocommit_is_refused_for_a_table_that_would_look_empty(engine, sent):
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with acting_as("ann", tenant=NORTH), engine.connect() as connection:
        with pytest.raises(StatementRefused, match="note shows rows to whoever acts"):
            connection.execute(select(Note.body))
        assert connection.execute(select(plain.c.id)).all() == []
    assert not any(SET in statement for statement in sent)


def test_a_connection_that_died_in_the_pool_is_replaced_as_without_claims(guarded, engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        session.commit()
        with guarded.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with pytest.raises(DBAPIError) as caught:
            _bodies(session)
        assert caught.value.connection_invalidated
        session.rollback()
        assert _bodies(session) == {"acme 0", "acme 1"}


def test_a_session_that_joins_a_transaction_from_outside_is_told_after_its_rollback(engine):
    with acting_as("ann", tenant=NORTH), engine.begin() as connection:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            assert len(_bodies(session)) == 2
            session.rollback()
            assert len(_bodies(session)) == 2
        assert len(_bodies(connection)) == 2


def test_a_claim_that_is_none_of_the_columns_type_is_an_error_and_shows_nothing(guarded, engine):
    with guarded.connect() as connection:
        connection.execute("INSERT INTO diary (tenant_id, owner_id) VALUES ('acme', %s)", (NOBODY,))
    with (
        acting_as("not-a-uuid", tenant=NORTH),
        Session(engine) as session,
        pytest.raises(DBAPIError, match="22P02; values are withheld"),
    ):
        session.scalars(select(Diary)).all()


def test_many_comments_ahead_of_a_statement_cost_no_time():
    assert claims._CONTROL.match("/**/" * 50_000 + "SELECT 1") is None
    assert claims._CONTROL.match("/* a */ -- b\n savepoint s")["keeps"]


@pytest.mark.asyncio
async def test_async_sessions_of_two_tenants_run_beside_each_other(guarded, engine, keyring):
    other = create_async_engine(guarded.sqlalchemy_url, pool_size=2)
    vaultdb.install(other, keyring=keyring)

    async def work(tenant: str) -> None:
        with acting_as("ann", tenant=tenant):
            for _ in range(5):
                async with AsyncSession(other) as session:
                    assert set(await session.scalars(select(Note.body))) == {
                        f"{tenant} 0",
                        f"{tenant} 1",
                    }
                    await asyncio.sleep(0)
                    await session.commit()
                    stream = await session.stream_scalars(select(Note.body))
                    assert len([body async for body in stream]) == 2

    await asyncio.gather(work(NORTH), work(SOUTH))
    await other.dispose()
