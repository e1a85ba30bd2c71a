"""Commands on real servers leave events in the audit log, each by the login of its own role."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.postgres import Database
from tests.integration.cli.conftest import Run
from vaultdb.engine.auditing import operator

ACTIONS = (
    "SELECT c.opening, e.body FROM vaultdb_audit.event e JOIN vaultdb_audit.chain c USING (chain)"
    " ORDER BY e.recorded_at, e.seq"
)

pytestmark = pytest.mark.usefixtures("settings_file")


def actions(database: Database) -> list[tuple[str, dict[str, Any]]]:
    """Return the Vault role and the body of each event, but for those of chains."""
    with database.connect() as connection:
        rows = connection.execute(ACTIONS).fetchall()
    found = [(json.loads(opening)["role"], json.loads(body)) for opening, body in rows]
    return [(role, body) for role, body in found if not body["event"].startswith("chain.")]


@pytest.mark.parametrize(
    ("command", "role", "events"),
    [
        (["keys", "create"], "officer", ["key.created"]),
        (["rotate", "--kek", "--yes"], "rotator", ["kek.rotated", "key.rewrapped"]),
        (["keys", "verify"], "reencryptor", []),
    ],
    ids=["create", "rotate", "verify"],
)
def test_a_command_is_recorded_by_the_login_of_its_role(
    run: Run, database: Database, command: list[str], role: str, events: list[str]
) -> None:
    before = len(actions(database))
    done = run(*command)
    assert done.code == 0, done.err

    found = actions(database)[before:]
    assert [body["event"] for _, body in found if body["event"] != "key.unwrapped"] == [
        "session.signed-in",
        "job.started",
        *events,
        "job.finished",
    ]
    assert {each for each, _ in found} == {role}
    assert {body["principal"] for _, body in found} == {operator().principal}
    assert all(body["entity"] for _, body in found)


def test_no_key_is_made_when_that_cannot_be_recorded(run: Run, database: Database) -> None:
    with database.connect() as connection:
        connection.execute("REVOKE INSERT (mac) ON vaultdb_audit.event FROM vaultdb_officer")

    assert run("keys", "create").failed_with("the audit log")

    assert run("keys", "list", "--json").json == []


def test_a_backup_of_the_keys_is_recorded_with_its_digest(
    run: Run, database: Database, tmp_path: Path
) -> None:
    assert run("keys", "create").code == 0
    done = run("keys", "backup", "--to", str(tmp_path))
    assert done.code == 0, done.err

    (made,) = [body for _, body in actions(database) if body["event"] == "backup.made"]
    assert len(made["digest"]) == 64


def test_a_migration_is_recorded_by_the_migrator(run: Run, database: Database) -> None:
    assert run("migrate", "down", "base", "--yes").code == 0
    assert run("migrate", "up").code == 0

    found = [body for _, body in actions(database) if body["event"] == "migration.applied"]
    assert {body["direction"] for body in found} == {"up", "down"}
