"""An event of the log is found in Vault's own audit file: the unwrap of its key, by its context."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Column, Integer, MetaData, Table, insert

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from vaultdb import Encrypted, acting_as
from vaultdb.db.keystore import PostgresKeyStore
from vaultdb.engine import create_engine
from vaultdb.jobs.keys import create_all
from vaultdb.keys.wrapped_key import KeyScope, Purpose, WrappedKey
from vaultdb.settings import Settings
from vaultdb.vault.factory import new_provider

metadata = MetaData()
visit = Table(
    "correlated_visit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("note", Encrypted(str)),
)


def settings_for(role: str, login: str, openbao: OpenBao, database: Database) -> Settings:
    return Settings(
        realm=database.realm,
        vault=openbao.settings(role),
        database={"url": SecretStr(database.url_for(login))},
        audit={"mode": "strict"},
    )


def make_key(openbao: OpenBao, database: Database) -> WrappedKey:
    settings = settings_for("officer", "vaultdb_key_officer", openbao, database)
    with closing(new_provider(settings)) as provider, closing(PostgresKeyStore(settings)) as store:
        ((key, _),) = create_all(
            provider,
            store,
            settings.realm,
            [KeyScope("", "default", Purpose.DATA)],
            new_version=False,
            incoming=False,
        )
    return key


def decrypts(openbao: OpenBao) -> list[tuple[str, str]]:
    """Return entity and hashed context of each unwrap in Vault's audit file."""
    files: Path = openbao.server.files.audit
    found: list[tuple[str, str]] = []
    for line in files.read_text("utf-8").splitlines():
        said = json.loads(line)
        request = said["request"]
        if said["type"] == "response" and request["path"].endswith(f"/decrypt/{openbao.kek}"):
            entity = said["auth"]["entity_id"]
            found += [(entity, item["context"]) for item in request["data"].get("batch_input", ())]
    return found


def test_the_unwrap_of_a_key_is_in_both_logs(openbao: OpenBao, database: Database) -> None:
    database.create_all(metadata)
    key = make_key(openbao, database)
    engine = create_engine(settings=settings_for("app", "vaultdb_app", openbao, database))
    with acting_as("ann", request="r-1"), engine.begin() as connection:
        connection.execute(insert(visit).values(id=1, note="cough"))
    engine.dispose()

    with database.connect() as connection:
        rows = connection.execute(
            "SELECT body FROM vaultdb_audit.event"
            ' WHERE strpos(body, \'"event":"key.unwrapped"\') > 0'
        ).fetchall()
    unwrapped = [json.loads(body) for (body,) in rows]
    assert [each["key_ids"] for each in unwrapped] == [[key.key_id.hex()]]

    context = base64.b64encode(key.context()).decode()
    hashed = openbao.admin.write("sys/audit-hash/main", input=context)["data"]["hash"]
    assert (unwrapped[0]["entity"], hashed) in decrypts(openbao)
