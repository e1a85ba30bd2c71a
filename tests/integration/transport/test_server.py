"""A server that is not the right one, or not well protected, is refused in one clear line."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.integration.transport.authority import DAY, Authority
from tests.integration.transport.conftest import HBA, PASSWORD, Login, TlsPostgres, refusal
from vaultdb.db.connect import new_engine
from vaultdb.errors import ConfigurationError

LIBPQ_WRITES_KEYS = 180_000
"""The libpq from which on a service file may ask for TLS's secrets in a file."""


def test_the_right_server_is_accepted(tls_postgres: TlsPostgres, log_in: Login) -> None:
    assert log_in(tls_postgres.settings()) == "app"


def test_an_expired_certificate_is_refused_as_expired(
    tls_postgres: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    tls_postgres.change(files=client_authority.server(begin=-2 * DAY, end=-DAY))
    text = refusal(log_in, tls_postgres.settings(sslrootcert=client_authority.certificate))
    assert "certificate verify failed: certificate has expired" in text
    assert "renew the server's certificate" in text


def test_a_certificate_that_is_not_valid_yet_is_refused_as_such(
    tls_postgres: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    tls_postgres.change(files=client_authority.server(begin=DAY, end=2 * DAY))
    text = refusal(log_in, tls_postgres.settings(sslrootcert=client_authority.certificate))
    assert "certificate is not yet valid" in text


def test_a_certificate_of_another_authority_is_refused_with_the_setting(
    tls_postgres: TlsPostgres, other_authority: Authority, log_in: Login
) -> None:
    text = refusal(log_in, tls_postgres.settings(sslrootcert=other_authority.certificate))
    assert "unable to get local issuer certificate" in text
    assert "set VAULTDB_SSLROOTCERT to the CA that signed the server" in text


def test_a_certificate_of_another_host_is_refused(
    tls_postgres: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    tls_postgres.change(files=client_authority.server("db.example"))
    text = refusal(log_in, tls_postgres.settings(sslrootcert=client_authority.certificate))
    assert 'does not match host name "127.0.0.1"' in text
    assert "use the name that the server's certificate has" in text


def test_a_server_without_tls_is_refused(tls_postgres: TlsPostgres, log_in: Login) -> None:
    tls_postgres.change(ssl="off")
    text = refusal(log_in, tls_postgres.settings())
    assert "server does not support SSL, but SSL was required" in text
    assert "switch TLS on there" in text


def test_variables_and_service_files_do_not_weaken(
    tls_postgres: TlsPostgres, log_in: Login, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service, keys = tmp_path / "services.conf", tmp_path / "keys"
    weak = ["[weak]", "sslmode=disable", "channel_binding=disable", "require_auth=password"]
    weak += ["gssencmode=prefer", "ssl_max_protocol_version=TLSv1.2"]
    if psycopg.pq.version() >= LIBPQ_WRITES_KEYS:
        weak += [f"sslkeylogfile={keys}"]
    service.write_text("\n".join(weak) + "\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    monkeypatch.setenv("PGSERVICE", "weak")
    monkeypatch.setenv("PGSSLMODE", "disable")
    monkeypatch.setenv("PGSSLMAXPROTOCOLVERSION", "TLSv1.2")
    assert log_in(tls_postgres.settings()) == "app"
    assert not keys.exists()
    tls_postgres.change(ssl="off")
    assert "server does not support SSL" in refusal(log_in, tls_postgres.settings())


def test_a_server_that_only_speaks_an_older_tls_is_refused(
    tls_postgres: TlsPostgres, log_in: Login
) -> None:
    tls_postgres.change(ssl_min_protocol_version="TLSv1.2", ssl_max_protocol_version="TLSv1.2")
    text = refusal(log_in, tls_postgres.settings())
    assert "protocol version" in text
    assert "TLS 1.3" in text


def test_the_older_tls_can_be_allowed_aloud(tls_postgres: TlsPostgres, log_in: Login) -> None:
    tls_postgres.change(ssl_min_protocol_version="TLSv1.2", ssl_max_protocol_version="TLSv1.2")
    said = "sslmode=verify-full&channel_binding=require&require_auth=scram-sha-256"
    given = tls_postgres.settings(
        url=tls_postgres.url(f"{said}&ssl_min_protocol_version=TLSv1.2"), allow_insecure=True
    )
    with pytest.warns(UserWarning, match="connecting with ssl_min_protocol_version=TLSv1.2;"):
        assert log_in(given) == "app"


@pytest.mark.parametrize("mode", ["prefer", "allow", "disable", "require", "verify-ca"])
def test_a_url_that_asks_for_less_is_refused_before_anything_is_sent(
    tls_postgres: TlsPostgres, log_in: Login, mode: str
) -> None:
    text = refusal(log_in, tls_postgres.settings(url=tls_postgres.url(f"sslmode={mode}")))
    assert text == (
        f"database.url says sslmode={mode}, which does not check who the server is; remove it"
        " (sslmode=verify-full is the default), or set VAULTDB_ALLOW_INSECURE=true"
    )


def test_connect_args_that_ask_for_less_are_refused(tls_postgres: TlsPostgres) -> None:
    from vaultdb.db.connect import attach, connect_arguments

    given = tls_postgres.settings()
    url, arguments = connect_arguments(given)
    engine = sa.create_engine(url, connect_args=arguments | {"sslmode": "require"})
    attach(engine, given)
    with pytest.raises(ConfigurationError, match=r"connect_args .* sslmode=require, which does"):
        engine.connect()


@pytest.mark.parametrize("method", ["trust", "password"])
def test_a_server_that_does_not_prove_the_login_by_scram_is_refused(
    tls_postgres: TlsPostgres, log_in: Login, method: str
) -> None:
    tls_postgres.change(hba=HBA.format(login="app", method=method))
    text = refusal(log_in, tls_postgres.settings())
    assert 'authentication method requirement "scram-sha-256" failed' in text


def test_the_word_md5_means_scram_for_a_password_that_is_stored_so(
    tls_postgres: TlsPostgres, log_in: Login
) -> None:
    tls_postgres.change(hba=HBA.format(login="app", method="md5"))
    assert log_in(tls_postgres.settings()) == "app"
    tls_postgres.admin.execute("SET password_encryption = 'md5'")
    try:
        tls_postgres.admin.execute(f"ALTER ROLE app PASSWORD '{PASSWORD}'")
        assert "authentication method requirement" in refusal(log_in, tls_postgres.settings())
    finally:
        tls_postgres.admin.execute("RESET password_encryption")
        tls_postgres.admin.execute(f"ALTER ROLE app PASSWORD '{PASSWORD}'")


def test_the_server_is_asked_how_it_let_a_certificate_in(
    tls_postgres: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    tls_postgres.change(hba=HBA.format(login="app", method="trust"))
    files = client_authority.client("app").settings
    given = tls_postgres.settings(password=None, **files)
    if tls_postgres.major >= 16:
        assert "the server let the login in by trust" in refusal(log_in, given)
    else:
        assert log_in(given) == "app"  # 15 does not tell


def test_a_host_that_fails_does_not_weaken_the_next(
    tls_postgres: TlsPostgres, log_in: Login, client_authority: Authority
) -> None:
    port = tls_postgres.server.port
    url = f"postgresql://app@/postgres?host=127.0.0.1:1&host=127.0.0.1:{port}"
    assert log_in(tls_postgres.settings(url=url)) == "app"
    tls_postgres.change(files=client_authority.server(end=dt.timedelta(days=-0.5)))
    text = refusal(log_in, tls_postgres.settings(url=url))
    assert "certificate verify failed" in text


def test_open_connections_stay_when_the_server_gets_another_certificate(
    tls_postgres: TlsPostgres, client_authority: Authority
) -> None:
    with new_engine(tls_postgres.settings()).connect() as connection:
        connection.scalar(sa.text("SELECT 1"))
        tls_postgres.change(files=client_authority.server(begin=-2 * DAY, end=-DAY))
        assert connection.scalar(sa.text("SELECT 2")) == 2
