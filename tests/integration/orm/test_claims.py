"""Row-level security on who acts: a real PostgreSQL hides the rows of others."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from sqlalchemy import Engine, create_engine, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import vaultdb
from tests.integration.orm.claimed import NORTH, SOUTH, Diary, Note, bodies
from vaultdb import Acting, acting_as
from vaultdb.errors import DecryptionError
from vaultdb.orm import claims
from vaultdb.orm.scope import PRINCIPAL_KEY

NOBODY = uuid.UUID(int=0)


@pytest.fixture
def engine(claimed_engine: Engine) -> Engine:
    return claimed_engine


def test_a_session_sees_the_rows_of_its_tenant_only(engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        assert bodies(session) == {"acme 0", "acme 1"}
        assert session.scalar(text("SELECT count(*) FROM note")) == 2


def test_core_and_driver_sql_see_the_rows_of_their_tenant_only(engine):
    with acting_as("ann", tenant=SOUTH), engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM note").scalar() == 2
        assert bodies(connection) == {"globex 0", "globex 1"}


def test_nobody_sees_no_row_and_neither_does_somebody_without_a_tenant(engine):
    with Session(engine) as session:
        assert bodies(session) == set()
    with acting_as("ann"), Session(engine) as session:
        assert bodies(session) == set()


def test_the_tenant_of_the_engine_counts_where_no_other_is_named(guarded, engine, keyring):
    northern = create_engine(guarded.sqlalchemy_url)
    vaultdb.install(northern, keyring=keyring, tenant=NORTH)
    with Session(northern) as session:
        assert bodies(session) == {"acme 0", "acme 1"}
    with acting_as("ann"), Session(northern) as session:
        assert bodies(session) == {"acme 0", "acme 1"}
    with acting_as("ann", tenant=SOUTH), Session(northern) as session:
        assert bodies(session) == {"globex 0", "globex 1"}
    northern.dispose()


def test_the_principal_in_the_session_counts_where_context_variables_get_lost(engine):
    with Session(engine, info={PRINCIPAL_KEY: Acting("ann", tenant=NORTH)}) as session:
        assert bodies(session) == {"acme 0", "acme 1"}


def test_a_session_keeps_its_tenant_after_the_block_that_it_began_in(engine):
    with Session(engine) as session:
        with acting_as("ann", tenant=NORTH):
            session.begin()
            assert len(bodies(session)) == 2
        assert bodies(session) == {"acme 0", "acme 1"}


def test_claims_are_sent_again_after_a_commit_and_after_a_rollback(engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        for end in (session.commit, session.rollback, session.commit):
            assert bodies(session) == {"acme 0", "acme 1"}
            end()
    with acting_as("ann", tenant=NORTH), engine.connect() as connection:
        assert len(bodies(connection)) == 2
        connection.rollback()
        assert len(bodies(connection)) == 2


def test_claims_are_sent_again_after_the_savepoint_that_they_were_sent_in(engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        nested = session.begin_nested()
        assert len(bodies(session)) == 2
        nested.rollback()
        assert len(bodies(session)) == 2


def test_a_rolled_back_savepoint_does_not_bring_the_tenant_before_it_back(engine):
    with engine.connect() as connection:
        with acting_as("ann", tenant=NORTH):
            assert bodies(connection) == {"acme 0", "acme 1"}
        savepoint = connection.begin_nested()
        with acting_as("bob", tenant=SOUTH):
            assert bodies(connection) == {"globex 0", "globex 1"}
            savepoint.rollback()
            assert bodies(connection) == {"globex 0", "globex 1"}


def test_a_failed_statement_in_a_savepoint_leaves_the_transaction_usable(engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        with pytest.raises(DBAPIError, match="division by zero"), session.begin_nested():
            session.execute(text("SELECT 1 / 0"))
        assert bodies(session) == {"acme 0", "acme 1"}


@pytest.mark.parametrize("ahead", ["", " \n", "/* app */ /* route */", "-- app\n"])
def test_a_textual_rollback_to_a_savepoint_is_noticed(engine, ahead):
    with engine.connect() as connection:
        with acting_as("ann", tenant=NORTH):
            assert len(bodies(connection)) == 2
        connection.exec_driver_sql("SAVEPOINT here")
        with acting_as("bob", tenant=SOUTH):
            assert len(bodies(connection)) == 2
            connection.exec_driver_sql(f"{ahead}ROLLBACK TO here")
            assert bodies(connection) == {"globex 0", "globex 1"}


def test_sessions_of_two_tenants_take_turns_on_one_pooled_connection(engine):
    pids = set()
    for _ in range(3):
        for tenant in (NORTH, SOUTH):
            with acting_as("ann", tenant=tenant), Session(engine) as session:
                assert bodies(session) == {f"{tenant} 0", f"{tenant} 1"}
                pids.add(session.scalar(text("SELECT pg_backend_pid()")))
    with Session(engine) as session:
        assert bodies(session) == set()
    assert len(pids) == 1


def test_what_is_set_for_a_whole_session_by_injected_sql_does_not_reach_the_next(engine):
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT set_config('vaultdb.tenant', '{SOUTH}', false)")
        connection.commit()
    with Session(engine) as session:
        assert bodies(session) == set()
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        assert bodies(session) == {"acme 0", "acme 1"}


def test_injected_sql_can_be_any_tenant_but_decrypts_nothing_of_it(engine):
    """What SECURITY.md says of claims: they are no boundary against SQL injection."""
    with acting_as("bob", tenant=SOUTH), Session(engine) as session:
        session.scalars(select(Note)).first().secret = "hidden"
        session.commit()
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        injected = "body = '' OR set_config('vaultdb.tenant', 'globex', true) = 'globex'"
        session.scalars(select(Note.id).where(text(injected))).all()
        assert bodies(session) == {"globex 0", "globex 1"}
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


def test_a_connection_that_died_in_the_pool_is_replaced_as_without_claims(guarded, engine):
    with acting_as("ann", tenant=NORTH), Session(engine) as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        session.commit()
        with guarded.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        with pytest.raises(DBAPIError) as caught:
            bodies(session)
        assert caught.value.connection_invalidated
        session.rollback()
        assert bodies(session) == {"acme 0", "acme 1"}


def test_a_session_that_joins_a_transaction_from_outside_is_told_after_its_rollback(engine):
    with acting_as("ann", tenant=NORTH), engine.begin() as connection:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            assert len(bodies(session)) == 2
            session.rollback()
            assert len(bodies(session)) == 2
        assert len(bodies(connection)) == 2


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
