"""Fixed and rotated logins, what counts as a refusal, and connections that were cut."""

from __future__ import annotations

import pickle
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.pq import ConnStatus

from tests.unit.keys.support import FakeClock, in_threads
from vaultdb.db.connect import new_engine
from vaultdb.db.login.credentials import Credentials
from vaultdb.db.login.fixed import FixedLogin
from vaultdb.db.login.pooled import is_cut
from vaultdb.db.login.refusal import is_refused
from vaultdb.db.login.rotated import RotatedLogin
from vaultdb.db.login.source import Login
from vaultdb.errors import ConfigurationError, VaultDenied, VaultUnavailable
from vaultdb.settings import DatabaseSettings, Settings
from vaultdb.vault.leases import Lease, RotatedPassword

USER = "v_vaultdb_app_rw_abc_1795374556"


class StaticRole:
    """A static role whose password changes every 100 s."""

    name = "vaultdb-database/vaultdb-app-rw"

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.reads = 0
        self.changed_at = self.clock()
        self.number = 1
        self.failure: Exception | None = None

    def change(self) -> None:
        self.number += 1
        self.changed_at = self.clock()

    def rotated_password(self) -> RotatedPassword:
        if self.failure is not None:
            raise self.failure
        self.reads += 1
        return RotatedPassword("app", f"SECRET-{self.number}", self.changed_at + 100)


@pytest.fixture
def role() -> StaticRole:
    return StaticRole()


@pytest.fixture
def login(role: StaticRole) -> RotatedLogin:
    return RotatedLogin(role)  # type: ignore[arg-type]


def test_a_rotated_password_is_read_once_until_it_changes(
    role: StaticRole, login: RotatedLogin
) -> None:
    assert not login.is_ready()
    for _ in range(5):
        current = login.current()
    assert (current.user, current.password) == ("app", "SECRET-1")
    assert login.is_ready()
    assert role.reads == 1


def test_a_rotated_password_is_read_again_when_it_is_due(
    role: StaticRole, login: RotatedLogin
) -> None:
    login.current()
    role.clock.advance(100)
    role.change()
    assert not login.is_ready()
    assert login.current().password == "SECRET-2"
    assert not login.is_retired(1), "open connections stay"


def test_a_password_that_is_late_to_change_is_read_once_a_second(
    role: StaticRole, login: RotatedLogin
) -> None:
    login.current()
    role.clock.advance(100)
    for _ in range(20):
        assert login.current().password == "SECRET-1"
        role.clock.advance(0.1)
    assert role.reads == 3


def test_a_refused_password_is_read_once_for_all_threads(
    role: StaticRole, login: RotatedLogin
) -> None:
    login.current()
    role.change()
    assert in_threads(10, lambda _: login.refused(1)) == [True] * 10
    assert role.reads == 2
    assert login.current().password == "SECRET-2"


def test_a_refused_password_that_is_the_same_is_no_reason_to_try_again(
    role: StaticRole, login: RotatedLogin
) -> None:
    login.current()
    assert [login.refused(1) for _ in range(5)] == [False] * 5
    assert role.reads == 2, "and none to ask all the time"


def test_while_vault_is_away_the_password_is_the_same(
    role: StaticRole, login: RotatedLogin, caplog: pytest.LogCaptureFixture
) -> None:
    login.current()
    role.failure = VaultUnavailable("away")
    role.clock.advance(100)
    assert login.current().password == "SECRET-1"
    assert "cannot read the password of vaultdb-database/vaultdb-app-rw again" in caplog.text
    assert "SECRET" not in caplog.text


def test_a_first_read_that_fails_is_an_error(role: StaticRole, login: RotatedLogin) -> None:
    for failure in (VaultUnavailable("away"), VaultDenied("no")):
        role.failure = failure
        with pytest.raises(type(failure)):
            login.current()


def test_a_fixed_login_reads_its_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("one\n")
    login = FixedLogin(DatabaseSettings.model_validate({"password_file": file}))
    assert login.current().password == "one"
    file.write_text("two\n")
    assert login.current().password == "two"
    assert not login.refused(0)
    assert not login.is_retired(0)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (f'FATAL:  password authentication failed for user "{USER}"', True),
        (f'FATAL:  role "{USER}" is not permitted to log in', True),
        (f"FATAL:  Passwort-Authentifizierung für Benutzer »{USER}« fehlgeschlagen", True),
        ("FATAL:  SASL authentication failed", True),
        (f"FATAL:  no such user: {USER}", True),
        (f'FATAL:  too many connections for role "{USER}"', False),
        ("connection refused", False),
        ('FATAL:  database "x" does not exist', False),
        ("server closed the connection unexpectedly", False),
    ],
)
def test_only_a_refused_login_is_one(text: str, refused: bool) -> None:
    assert is_refused(psycopg.OperationalError(text), USER) is refused


class FakeConnection:
    """What `is_cut` looks at, over a pair of sockets."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.pgconn: Any = SimpleNamespace(
            status=ConnStatus.OK, socket=self.ours.fileno(), consume_input=self.consume
        )

    def consume(self) -> None:
        if not self.ours.recv(1000):
            self.pgconn.status = ConnStatus.BAD
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


def test_a_session_is_cut_when_the_server_has_hung_up() -> None:
    connection = FakeConnection()
    assert not is_cut(connection)
    connection.theirs.send(b"a notice")
    assert not is_cut(connection), "it has said something, and is there"
    connection.theirs.send(b"goodbye")
    connection.theirs.close()
    assert is_cut(connection)
    assert is_cut(connection)
    connection.close()


def test_secrets_are_not_shown_and_not_compared() -> None:
    pair = [Login("u", "SECRET", 1) for _ in range(2)]
    lease = [Lease("u", "SECRET", "SECRET", 0.0, 1.0, True, 1) for _ in range(2)]
    rotated = [RotatedPassword("u", "SECRET", 1.0) for _ in range(2)]
    for one, other in (pair, lease, rotated):
        assert "SECRET" not in f"{one!r} {one}"
        assert one != other
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(one)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "postgresql://app@127.0.0.1/x"}, "database.url names a login"),
        ({"primary_url": "postgresql://app:pw@127.0.0.1/x"}, "database.primary_url names a login"),
        ({"password": "SECRET"}, "leases a login with its own: unset VAULTDB_PASSWORD"),
    ],
)
def test_two_logins_are_refused(changes: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        Credentials(settings_with(changes))
    assert "SECRET" not in str(caught.value)


def test_a_lease_needs_more_than_the_database_section() -> None:
    with pytest.raises(ConfigurationError, match="pass all settings"):
        new_engine(settings_with({}).database)


def settings_with(changes: dict[str, Any]) -> Settings:
    database = {"url": "postgresql://db.example.org/x", "lease": "vaultdb-app-rw"}
    values: dict[str, Any] = {
        "realm": "6f1d2c3b-0000-4000-8000-7e57da7aba5e",
        "database": database | changes,
        "vault": {"addr": "https://127.0.0.1:9", "role_id": "r", "secret_id": "SECRET"},
    }
    return Settings.model_validate(values)


def test_credentials_touch_nothing_and_close_without_having_done_anything() -> None:
    credentials = Credentials(settings_with({}))
    assert "SECRET" not in repr(credentials)
    assert repr(credentials.login) == "<LeasedLogin vaultdb-database/vaultdb-app-rw>"
    credentials.close()
