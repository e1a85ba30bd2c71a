"""Transport is as strong as can be, and never weaker without being said."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.engine import make_url

from vaultdb.db.connect import TransportWarning, connect_arguments
from vaultdb.db.cursor import AsyncExtendedCursor, ExtendedCursor
from vaultdb.db.tls import transport_for
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings

STRONG = {
    "sslmode": "verify-full",
    "channel_binding": "require",
    "require_auth": "scram-sha-256",
    "gssencmode": "disable",
}


def settings(url: str, **values: Any) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"url": url, **values})


def arguments(url: str, **values: Any) -> dict[str, Any]:
    return transport_for(make_url(url), settings(url, **values)).arguments


def test_the_default_verifies_the_server_and_binds_the_login_to_it() -> None:
    assert arguments("postgresql://app@db/clinic") == STRONG


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_loopback_is_no_exception(host: str) -> None:
    assert arguments(f"postgresql://app@{host}/clinic") == STRONG


def test_saying_the_default_is_fine() -> None:
    url = "postgresql://app@db/clinic?sslmode=verify-full&channel_binding=require"
    assert arguments(url) == STRONG


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("sslmode=disable", "does not check who the server is"),
        ("sslmode=require", "does not check who the server is"),
        ("sslmode=verify-ca", "does not check who the server is"),
        ("channel_binding=prefer", "machine in the middle"),
        ("require_auth=password", "false server"),
        ("require_auth=scram-sha-256,password", "false server"),
    ],
)
def test_a_weaker_url_is_refused_with_the_reason(query: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{reason}.*VAULTDB_ALLOW_INSECURE"):
        arguments(f"postgresql://app@db/clinic?{query}")


def test_nothing_about_tls_stays_in_the_url() -> None:
    url = "postgresql://app@db/clinic?sslmode=verify-full&sslrootcert=/ca.pem&application_name=x"
    transport = transport_for(make_url(url), settings(url))
    assert dict(transport.url.query) == {"application_name": "x"}
    assert transport.arguments["sslrootcert"] == "/ca.pem"


def test_the_setting_wins_over_the_url_for_certificates() -> None:
    url = "postgresql://app@db/clinic?sslrootcert=/theirs.pem"
    assert arguments(url, sslrootcert="/ours.pem")["sslrootcert"] == "/ours.pem"


def test_allow_insecure_takes_the_url_at_its_word_and_says_so() -> None:
    given = settings("postgresql://app@db/clinic?sslmode=require", allow_insecure=True)
    with pytest.warns(TransportWarning, match="sslmode=require, channel_binding=default"):
        _, connect = connect_arguments(given)
    assert connect["sslmode"] == "require"
    assert "channel_binding" not in connect


def test_allow_insecure_is_silent_where_nothing_is_lost() -> None:
    query = "&".join(f"{key}={value}" for key, value in STRONG.items())
    connect_arguments(settings(f"postgresql://app@db/clinic?{query}", allow_insecure=True))


@pytest.mark.parametrize("url", ["postgresql:///clinic", "postgresql://app@/clinic?host=/run/pg"])
def test_a_unix_socket_needs_neither_tls_nor_scram(url: str) -> None:
    transport = transport_for(make_url(url), settings(url))
    assert not transport.is_checked
    assert "channel_binding" not in transport.arguments
    assert "require_auth" not in transport.arguments


def test_a_host_from_the_environment_is_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db")
    assert arguments("postgresql:///clinic") == STRONG


def test_one_tcp_host_among_sockets_counts() -> None:
    assert arguments("postgresql://app@/clinic?host=/run/pg,db") == STRONG


def test_a_client_certificate_without_password_is_the_login() -> None:
    found = arguments("postgresql://app@db/clinic", sslcert="/c.pem", sslkey="/k.pem")
    assert found["sslmode"] == "verify-full"
    assert "require_auth" not in found
    both = arguments("postgresql://app@db/clinic", sslcert="/c.pem", password="x")
    assert both["require_auth"] == "scram-sha-256"


def test_a_pooler_relaxes_what_it_cannot_do_and_says_so() -> None:
    given = settings("postgresql://app@db/clinic", pooler="pgbouncer")
    with pytest.warns(TransportWarning, match="only up to the pooler"):
        _, connect = connect_arguments(given)
    assert connect["sslmode"] == "verify-full"
    assert connect["channel_binding"] == "disable"
    assert connect["prepare_threshold"] is None


def test_cursors_are_ours_for_both_kinds_of_engine() -> None:
    given = settings("postgresql://app@db/clinic")
    assert connect_arguments(given)[1]["cursor_factory"] is ExtendedCursor
    assert connect_arguments(given, is_async=True)[1]["cursor_factory"] is AsyncExtendedCursor


def test_the_password_is_not_among_the_arguments() -> None:
    _, connect = connect_arguments(settings("postgresql://app@db/clinic", password="hunter2"))
    assert "hunter2" not in repr(connect)


def test_sqlite_gets_no_arguments() -> None:
    assert connect_arguments(settings("sqlite://"))[1] == {}


def test_a_missing_url_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"database\.url is missing: set VAULTDB_URL"):
        connect_arguments(DatabaseSettings.model_validate({}))
