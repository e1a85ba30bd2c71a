"""Commands leave events of what they did, and do nothing where none can be written."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.fixtures.postgres import Database
from tests.integration.audit.conftest import Audited, Log
from tests.integration.audit.noting import auditor_of
from vaultdb.audit.kinds import KEY_RESTRICTED
from vaultdb.engine import create_engine
from vaultdb.engine.auditing import operator
from vaultdb.engine.key_events import AuditedKeys
from vaultdb.errors import AuditUnavailable, ConfigurationError
from vaultdb.guard.principal import Acting
from vaultdb.jobs.recording import recorded, recorded_read
from vaultdb.keys.wrapped_key import KeyScope, KeyState, Purpose, WrappedKey

ONE = b"\x01" * 16
OPERATOR = operator().principal


@pytest.fixture
def no_log(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("DROP SCHEMA vaultdb_audit CASCADE")


def events(log: Log) -> list[str]:
    return [body["event"] for body in log.bodies()]


def test_a_command_says_that_it_begins_what_it_did_and_how_it_ended(
    audited: Audited, log: Log
) -> None:
    with recorded(audited(), "keys retire", "tenant a") as record:
        assert events(log) == ["session.signed-in", "job.started"]
        record(KEY_RESTRICTED, key_ids=[ONE.hex()], state="disabled")

    signed_in, started, done, finished = log.bodies()
    assert {body["principal"] for body in log.bodies()} == {OPERATOR}
    assert signed_in["by"] == "command"
    assert (started["job"], started["what"]) == ("keys retire", "tenant a")
    assert (done["event"], done["key_ids"]) == ("key.restricted", [ONE.hex()])
    assert finished["outcome"] == "done"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ConfigurationError, "ConfigurationError"), (KeyboardInterrupt, "interrupted")],
)
def test_how_a_command_failed_is_recorded(
    audited: Audited, log: Log, error: type[BaseException], outcome: str
) -> None:
    with pytest.raises(error), recorded(audited(), "rotate"):
        raise error("secret")

    assert log.bodies("job.finished")[0]["outcome"] == outcome
    assert "secret" not in str(log.bodies())


def test_a_command_does_nothing_when_the_log_cannot_be_written(
    audited: Audited, no_log: None
) -> None:
    acted = False
    with pytest.raises(AuditUnavailable), recorded(audited(), "keys shred"):
        acted = True
    assert not acted


@pytest.mark.usefixtures("no_log")
def test_what_makes_the_log_runs_without_it(audited: Audited) -> None:
    with recorded(audited(), "migrate up", may_lack_log=True) as record:
        record(KEY_RESTRICTED, key_ids=[])


def test_a_value_for_support_is_recorded_before_it_is_read(audited: Audited, log: Log) -> None:
    acting = Acting(OPERATOR, purpose="ticket 7")
    with recorded_read(audited(), acting, "public.patient", "ssn", {"id": "41"}):
        (read,) = log.bodies("data.read")
    (finished,) = log.bodies("data.read-finished")

    assert (read["columns"], read["purpose"]) == (["public.patient.ssn"], "ticket 7")
    assert (finished["of"], finished["keys"], finished["rows"]) == (read["id"], ["41"], 1)


def test_a_key_that_says_something_is_not_shown(audited: Audited, log: Log) -> None:
    key = {"country": "gr", "ssn": "999-12-3456"}
    with recorded_read(audited(), operator(), "patient", "name", key):
        pass

    assert "999-12-3456" not in str(log.bodies())
    assert log.bodies("data.read-finished")[0]["keys"] == []


def test_what_a_keyring_did_is_recorded_without_a_data_subject(
    audited: Audited, database: Database, log: Log
) -> None:
    scope = KeyScope("clinic", "default", Purpose.DATA, "subject-9")
    key = WrappedKey(ONE, database.realm, scope, 3, KeyState.ACTIVE, 1, "vault:v1:x")
    with closing(_Engine(audited)) as engine:
        heard = AuditedKeys(lambda: engine.auditor)
        heard.created([key])
        heard.unwrapped(scope._replace(subject=""), [key])
        heard.denied([key], "commitment")
        heard.rolled_back(scope, newest=2, floor=5)

    created, unwrapped, denied, rolled_back = log.bodies()
    assert [body["event"] for body in (created, unwrapped)] == ["key.created", "key.unwrapped"]
    assert created["scope"] == unwrapped["scope"] == "clinic/default/data"
    assert {str(body["key_ids"]) for body in (created, unwrapped, denied)} == {f"['{ONE.hex()}']"}
    assert (denied["what"], denied["reason"]) == ("unwrap", "commitment")
    assert rolled_back["reason"] == "version 2 of the keys of clinic/default/data is below 5"
    assert "subject-9" not in str(log.bodies())


class _Engine:
    """An engine with an audit log, disposed of at the end, which writes what waits."""

    def __init__(self, audited: Audited) -> None:
        self._engine = create_engine(settings=audited())
        self.auditor = auditor_of(self._engine)

    def close(self) -> None:
        self._engine.dispose()
