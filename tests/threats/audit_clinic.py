"""A log of four chains, copies of it to attack, and who verifies them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from tests.fixtures.postgres import Database, Postgres
from tests.integration.audit.writing import OneChain, Process
from vaultdb.audit.event import canonical, timestamp
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.db.connect import new_engine
from vaultdb.jobs.audit.sequencer import Sequencer
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.jobs.audit.verify.findings import Problem
from vaultdb.jobs.audit.verify.run import Verification, verify
from vaultdb.jobs.audit.verify.trust import Kept, Trust
from vaultdb.settings import DatabaseSettings

KEYS = MemoryAuditKeys()
SUPERUSER = "SET session_replication_role = replica"
"""Switches triggers off, as only a superuser may."""


@dataclass
class Clinic:
    """A log with four chains: two that go on, one that was closed, one without leaves yet."""

    database: Database
    one: OneChain
    other: OneChain
    closed: OneChain
    young: OneChain
    kept: Kept


@pytest.fixture(scope="module")
def clinic(postgres: Postgres) -> Iterator[Clinic]:
    database = postgres.create_database()
    process = Process(database, KEYS)
    one, other, closed = process.open(5), process.open(5), process.open(2)
    process.close(closed)
    sequence(database)
    kept = newest(database)
    process.write(one, 3)
    sequence(database)
    young = process.open(3)
    beat(process, other, one, young)
    yield Clinic(database, one, other, closed, young, kept)
    postgres.drop_database(database.name)


def beat(process: Process, teller: OneChain, *others: OneChain) -> None:
    """Write a heartbeat of these chains into another one."""
    heads = [{"chain": each.id.hex, "seq": each.chain.head.seq - 1} for each in others]
    body = canonical({"event": "chain.heartbeat", "chains": heads})
    teller.linked.append(teller.chain.link(timestamp(), body))
    process.store(teller)


def sequence(database: Database, *, every: bool = True) -> None:
    url = SecretStr(database.url_for("vaultdb_audit_sequencer"))
    engine = new_engine(DatabaseSettings(url=url))
    try:
        sequencer = Sequencer(engine, NoteSigner(str(database.realm), KEYS))
        while sequencer.step().is_behind:
            assert every
    finally:
        engine.dispose()


def newest(database: Database) -> Kept:
    """Take the newest checkpoint out of the database's reach."""
    with database.connect() as connection:
        row = connection.execute(
            "SELECT note FROM vaultdb_audit.checkpoint ORDER BY epoch DESC, size DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    return trust(database).read(row[0])


def trust(database: Database, *kept: Kept, offline: bool = False) -> Trust:
    if offline:
        return Trust(str(database.realm), (KEYS.public_key,), kept=kept)
    return Trust(str(database.realm), (KEYS.public_key,), KEYS, KEYS, kept)


def verified(database: Database, *kept: Kept, offline: bool = False) -> Verification:
    """Verify by the auditor's own login."""
    with psycopg.connect(database.url_for("vaultdb_audit_reader"), autocommit=True) as connection:
        return verify(
            connection,
            trust(database, *kept, offline=offline),
            lambda _what, _total: lambda _n: None,
        )


@pytest.fixture
def copy(clinic: Clinic, postgres: Postgres) -> Iterator[Database]:
    """The same log, for one test to work on."""
    name = f"attacked_{secrets.token_hex(4)}"
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(clinic.database.name)
            )
        )
    yield Database(postgres, name)
    postgres.drop_database(name)


Attack = Callable[..., list[tuple]]


@pytest.fixture
def attack(copy: Database) -> Iterator[Attack]:
    """Run statements as the superuser, with all triggers off."""
    with copy.connect() as connection:
        connection.execute(SUPERUSER)

        def run(statement: str, **values: object) -> list[tuple]:
            cursor = connection.execute(statement, values)
            assert cursor.rowcount != 0, "the attack changed nothing"
            return cursor.fetchall() if cursor.description else []

        yield run


def first(found: Verification) -> Problem:
    assert found.findings.first is not None
    return found.findings.first
