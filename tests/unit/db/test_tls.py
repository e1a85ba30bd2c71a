"""Transport is as strong as can be, and never weaker without being said."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.engine import URL, make_url

from vaultdb.db.connect import TransportWarning, connect_arguments
from vaultdb.db.cursor import AsyncExtendedCursor, ExtendedCursor
from vaultdb.db.tls import transport_for
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings

SAID = {
    "sslmode": "verify-full",
    "channel_binding": "require",
    "require_auth": "scram-sha-256",
    "ssl_min_protocol_version": "TLSv1.3",
}
UNSET = {"ssl_max_protocol_version": "", "sslkeylogfile": ""}
"""No value, said aloud: a variable or a service file cannot give one then."""

STRONG = {**SAID, **UNSET, "gssencmode": "disable"}


@pytest.fixture(autouse=True)
def newest_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psycopg.pq.version", lambda: 180000)


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
        ("require_auth=none", "false server"),
        ("sslmod%65=prefer", "does not check who the server is"),
        ("ssl_min_protocol_version=TLSv1.2", "older TLS"),
        ("ssl_max_protocol_version=TLSv1.2", "rules out TLS 1.3"),
        ("sslkeylogfile=/tmp/keys", "writes the keys of the connection to a file"),
        ("host=db:5432&host=other:5432&sslmode=prefer", "does not check who the server is"),
        ("service=clinic&sslmode=prefer", "does not check who the server is"),
    ],
)
def test_a_weaker_url_is_refused_with_the_reason(query: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{reason}.*VAULTDB_ALLOW_INSECURE"):
        arguments(f"postgresql://app@db/clinic?{query}")


def test_the_reason_names_only_defaults_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"to a file; remove it, or set VAULTDB"):
        arguments("postgresql://app@db/clinic?sslkeylogfile=/tmp/keys")


def test_an_option_said_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="says sslmode more than once"):
        arguments("postgresql://app@db/clinic?sslmode=verify-full&sslmode=disable")


@pytest.mark.parametrize(
    ("query", "remedy"),
    [("ssl=true", "write sslmode=verify-full"), ("conninfo=sslmode%3Ddisable", "one by one")],
)
def test_options_that_are_not_libpqs_are_refused(query: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        arguments(f"postgresql://app@db/clinic?{query}")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PGSSLMODE", "disable"),
        ("PGCHANNELBINDING", "disable"),
        ("PGREQUIREAUTH", "password"),
        ("PGSSLMINPROTOCOLVERSION", "TLSv1"),
        ("PGSSLMAXPROTOCOLVERSION", "TLSv1.2"),
        ("PGGSSENCMODE", "prefer"),
    ],
)
def test_each_variable_that_could_weaken_is_overridden_by_an_argument(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert arguments("postgresql://app@db/clinic") == STRONG


def test_a_service_file_may_name_a_host_and_is_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    assert arguments("postgresql:///clinic?service=clinic") == STRONG
    monkeypatch.setenv("PGSERVICE", "clinic")
    assert arguments("postgresql:///clinic") == STRONG


def test_an_older_libpq_is_not_given_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psycopg.pq.version", lambda: 150000)
    found = arguments("postgresql://app@db/clinic", sslcert="/c.pem", password="x")
    assert not {"require_auth", "sslcertmode", "sslkeylogfile"} & set(found)
    assert found["channel_binding"] == "require"


@pytest.mark.parametrize("option", ["sslrootcert", "sslcert", "sslkey"])
@pytest.mark.parametrize("text", ["-----BEGIN PRIVATE KEY-----\nhunter2", "a\nb"])
def test_a_pem_text_where_a_path_belongs_is_refused_and_not_repeated(
    option: str, text: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"database.{option} holds a PEM text") as caught:
        arguments("postgresql://app@db/clinic", **{option: text})
    assert "hunter2" not in str(caught.value)


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
    query = "&".join(f"{key}={value}" for key, value in SAID.items())
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


def test_a_host_beside_a_socket_counts() -> None:
    url = URL.create("postgresql", "app", host="/run/pg", query={"host": "db"})
    assert transport_for(url, settings(str(url))).arguments.keys() >= {"channel_binding"}


def test_a_client_certificate_without_password_is_the_login() -> None:
    found = arguments("postgresql://app@db/clinic", sslcert="/c.pem", sslkey="/k.pem")
    assert found["sslmode"] == "verify-full"
    assert found["require_auth"] == "scram-sha-256,none"
    both = arguments("postgresql://app@db/clinic", sslcert="/c.pem", password="x")
    assert both["require_auth"] == "scram-sha-256"
    assert both["channel_binding"] == "require"


@pytest.mark.parametrize(
    "values",
    [
        {"sslcert": "/c.pem"},
        {"certificate_role": "app"},
        {"certificate_role": "app", "lease": "app-rw"},
    ],
)
def test_a_client_certificate_must_be_used(values: dict[str, str]) -> None:
    assert arguments("postgresql://app@db/clinic", **values)["sslcertmode"] == "require"
    with pytest.raises(ConfigurationError, match="when the client certificate is not used"):
        arguments("postgresql://app@db/clinic?sslcertmode=allow", **values)


def test_a_stronger_word_of_the_url_counts() -> None:
    url = "postgresql://app@db/clinic?channel_binding=require&require_auth=scram-sha-256"
    found = arguments(url, sslcert="/c.pem")
    assert (found["channel_binding"], found["require_auth"]) == ("require", "scram-sha-256")


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
