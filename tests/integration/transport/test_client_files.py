"""Client certificates in files: the wrong ones are refused in one clear line, early if possible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.transport.authority import DAY, Authority
from tests.integration.transport.conftest import HBA, Login, TlsPostgres, refusal

CERT = HBA.format(login="app", method="cert")
BOTH = HBA.format(login="app", method="scram-sha-256 clientcert=verify-ca")
SAME_NAME = HBA.format(login="app", method="scram-sha-256 clientcert=verify-full")


@pytest.fixture
def by_certificate(tls_postgres: TlsPostgres) -> TlsPostgres:
    tls_postgres.change(hba=CERT)
    return tls_postgres


def settings(postgres: TlsPostgres, password: str | None = None, **changes: Any) -> Any:
    return postgres.settings(password=password, **changes)


def test_a_certificate_is_a_login(
    by_certificate: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    files = client_authority.client("app").settings
    assert log_in(settings(by_certificate, **files)) == "app"


def test_an_expired_certificate_is_refused(
    by_certificate: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    files = client_authority.client("app", begin=-2 * DAY, end=-DAY).settings
    text = refusal(log_in, settings(by_certificate, **files))
    assert "certificate expired" in text
    assert "renew the client certificate" in text


def test_a_certificate_of_another_authority_is_refused(
    by_certificate: TlsPostgres, other_authority: Authority, log_in: Login
) -> None:
    files = other_authority.client("app").settings
    text = refusal(log_in, settings(by_certificate, **files))
    assert "unknown ca" in text
    assert "ssl_ca_file" in text


def test_a_revoked_certificate_is_refused(
    tls_postgres: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    revoked, good = client_authority.client("app"), client_authority.client("app")
    tls_postgres.change(hba=CERT, crl=client_authority.revoking(revoked))
    text = refusal(log_in, settings(tls_postgres, **revoked.settings))
    assert "certificate revoked" in text
    assert "use another client certificate" in text
    assert log_in(settings(tls_postgres, **good.settings)) == "app"


def test_a_certificate_of_another_login_is_refused(
    by_certificate: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    files = client_authority.client("somebody").settings
    text = refusal(log_in, settings(by_certificate, **files))
    assert 'certificate authentication failed for user "app"' in text
    assert "common name is the login" in text


def test_a_password_needs_the_certificate_of_the_same_name_where_the_server_says_so(
    tls_postgres: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    tls_postgres.change(hba=SAME_NAME)
    other = client_authority.client("somebody").settings
    text = refusal(log_in, tls_postgres.settings(**other))
    assert text.endswith(", or use a certificate whose common name is the login")
    own = client_authority.client("app").settings
    assert log_in(tls_postgres.settings(**own)) == "app"


def test_a_password_beside_any_certificate_is_enough_where_the_server_says_so(
    tls_postgres: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    tls_postgres.change(hba=BOTH)
    files = client_authority.client("somebody").settings
    assert log_in(tls_postgres.settings(**files)) == "app"
    text = refusal(log_in, tls_postgres.settings())
    assert "connection requires a valid client certificate" in text
    assert "set VAULTDB_SSLCERT" in text


def test_a_certificate_that_the_server_does_not_look_at_is_refused(
    tls_postgres: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    tls_postgres.change(ssl_ca_file="")
    files = client_authority.client("app").settings
    text = refusal(log_in, tls_postgres.settings(**files))
    assert "did not request" in text
    assert "ssl_ca_file" in text


@pytest.mark.parametrize("option", ["sslcert", "sslkey"])
def test_a_path_that_libpq_would_ignore_is_refused_early(
    by_certificate: TlsPostgres, client_authority: Authority, log_in: Login, option: str
) -> None:
    files = client_authority.client("app").settings | {option: "/nonexistent/file.pem"}
    text = refusal(log_in, settings(by_certificate, **files))
    assert text.startswith(f"database.{option}: /nonexistent/file.pem does not exist")


def test_a_revocation_list_that_libpq_would_ignore_is_refused_early(
    tls_postgres: TlsPostgres, log_in: Login
) -> None:
    url = tls_postgres.url("sslcrl=/nonexistent/crl.pem")
    text = refusal(log_in, tls_postgres.settings(url=url))
    assert text.startswith("sslcrl of database.url: /nonexistent/crl.pem does not exist")


def test_a_path_in_a_variable_is_looked_at_too(
    tls_postgres: TlsPostgres, log_in: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLCRL", "/nonexistent/crl.pem")
    assert "does not exist" in refusal(log_in, tls_postgres.settings())


def test_a_certificate_without_a_key_is_refused_early(
    by_certificate: TlsPostgres,
    client_authority: Authority,
    log_in: Login,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    certificate = client_authority.client("app").certificate
    text = refusal(log_in, settings(by_certificate, sslcert=certificate))
    assert text.startswith("database.sslcert has no key: set database.sslkey (VAULTDB_SSLKEY)")


def test_a_key_that_others_can_read_is_refused_with_the_command(
    by_certificate: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    files = client_authority.client("app")
    files.key.chmod(0o644)
    text = refusal(log_in, settings(by_certificate, **files.settings))
    assert text == (
        f"database.sslkey: {files.key} can be read or changed by others (mode 0644);"
        f" run: chmod 0600 {files.key}"
    )


def test_the_key_itself_in_place_of_its_path_is_refused_and_not_repeated(
    by_certificate: TlsPostgres, client_authority: Authority, log_in: Login
) -> None:
    files = client_authority.client("app")
    given = {"sslcert": str(files.certificate), "sslkey": files.key.read_text()}
    text = refusal(log_in, settings(by_certificate, **given))
    assert text.startswith("database.sslkey holds a PEM text")
    assert "PRIVATE" not in text
