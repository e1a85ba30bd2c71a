"""A Vault in trouble, seen through SQLAlchemy: neither values nor data keys are in the error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, insert, select
from sqlalchemy.orm import Session, registry

import vaultdb
from tests.integration.leaks import make, no_leak
from tests.unit.vault.fake_vault import (
    PLAINTEXT_DEK,
    SECRET_ID,
    SECRET_TOKEN,
    Answer,
    FakeVault,
    errors,
    fake_vault,
)
from vaultdb import Encrypted, Equality
from vaultdb.errors import KeyringError
from vaultdb.keys import Keyring, MemoryKeyStore
from vaultdb.vault.client import VaultClient
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.login import AppRoleLogin
from vaultdb.vault.providers.memory import MemoryProvider
from vaultdb.vault.providers.vault import VaultProvider

metadata = MetaData()
note = Table(
    "fault_note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("body", Encrypted(str)),
    Column("ssn", Encrypted(str, index=Equality())),
)


class Note:
    """A mapped class over the table."""


registry().map_imperatively(Note, note)

BODY = make("bo", "dy", "41")
SSN = make("ss", "n", "42")
SECRETS = (BODY, SSN, PLAINTEXT_DEK, SECRET_TOKEN, SECRET_ID)
KEK = Answer(
    body={
        "data": {"derived": True, "exportable": False, "latest_version": 1, "type": "aes256-gcm96"}
    }
)

FAULTS = {
    "400": errors(400, f"cipher: message authentication failed {PLAINTEXT_DEK}"),
    "403": errors(403, f"permission denied for {SECRET_TOKEN}"),
    "404": errors(404),
    "429": errors(429, "rate limit", Retry_After="1"),
    "500": errors(500, f"1 error occurred: {PLAINTEXT_DEK}"),
    "503": errors(503, "Vault is sealed"),
    "timeout": Answer(body={}, delay=30),
    "hang-up": Answer(hang_up=True),
    "not JSON": Answer(body=f"<html>{PLAINTEXT_DEK}</html>".encode()),
    "wrong DEK": Answer(body={"data": {"batch_results": [{"plaintext": PLAINTEXT_DEK}]}}),
    "item errors": Answer(body={"data": {"batch_results": [{"error": f"bad {PLAINTEXT_DEK}"}]}}),
}


@pytest.fixture
def fake(certificates) -> Iterator[FakeVault]:
    with fake_vault(certificates) as server:
        yield server


@pytest.fixture
def engine(database, realm, fake, certificates) -> Iterator[Engine]:
    """An engine whose keys are cold, on a table that holds a row."""
    database.create_all(metadata)
    store = MemoryKeyStore()
    writer = Keyring(realm=realm, provider=MemoryProvider(), store=store, create_keys=True)
    filling = vaultdb.install(create_engine(database.sqlalchemy_url), keyring=writer)
    with filling.begin() as connection:
        connection.execute(insert(note).values(id=1, body=BODY, ssn=SSN))
    filling.dispose()
    writer.close()
    endpoint = Endpoint(fake.addr, certificates.authority, timeout=0.5)
    client = VaultClient(endpoint, AppRoleLogin("role-id", lambda: SECRET_ID))
    provider = VaultProvider(client, mount="transit", kek="kek")
    keyring = Keyring(realm=realm, provider=provider, store=store)
    engine = create_engine(database.sqlalchemy_url, echo="debug")
    vaultdb.install(engine, keyring=keyring)
    yield engine
    fake.released.set()
    engine.dispose()
    keyring.close()
    client.close()


def reading(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(select(note)).all()


def searching(engine: Engine) -> None:
    with Session(engine) as session:
        session.scalars(select(Note).where(note.c.ssn == SSN)).all()


def writing(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(insert(note), [{"id": 2, "body": BODY, "ssn": SSN}])


def flushing(engine: Engine) -> None:
    with Session(engine) as session:
        new = Note()
        new.id, new.body, new.ssn = 2, BODY, SSN
        session.add(new)
        session.commit()


@pytest.mark.parametrize("work", [reading, searching, writing, flushing])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_vault(fault, work, engine, fake, caplog):
    fake.script = lambda _method, path, _body: KEK if "/keys/" in path else FAULTS[fault]
    with no_leak(caplog, *SECRETS) as error:
        work(engine)
    assert isinstance(error(), KeyringError)
