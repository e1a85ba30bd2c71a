"""Certificates are made once, renewed in time, and fit together."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from vaultdb.dev.certificates import RENEW_BEFORE, SERVER_LIFETIME, ensure_certificates

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def verify(folder: Path, now: dt.datetime, name: str = "localhost") -> None:
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    server = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
    builder = PolicyBuilder().store(Store([authority])).time(now)
    builder.build_server_verifier(x509.DNSName(name)).verify(server, [])


def test_the_server_certificate_verifies_for_localhost_as_the_web_pki_would(tmp_path: Path):
    _, made = ensure_certificates(tmp_path, now=NOW)
    assert made
    verify(tmp_path, NOW)
    with pytest.raises(x509.verification.VerificationError):
        verify(tmp_path, NOW, "elsewhere.example")


def test_good_certificates_are_kept(tmp_path: Path):
    ensure_certificates(tmp_path, now=NOW)
    before = (tmp_path / "server.pem").read_bytes()
    _, made = ensure_certificates(tmp_path, now=NOW + dt.timedelta(days=30))
    assert (made, (tmp_path / "server.pem").read_bytes()) == (False, before)


def test_the_server_certificate_is_renewed_before_it_expires(tmp_path: Path):
    ensure_certificates(tmp_path, now=NOW)
    authority = (tmp_path / "ca.pem").read_bytes()
    later = NOW + SERVER_LIFETIME - RENEW_BEFORE + dt.timedelta(seconds=1)
    _, made = ensure_certificates(tmp_path, now=later)
    assert made
    assert (tmp_path / "ca.pem").read_bytes() == authority
    verify(tmp_path, later + RENEW_BEFORE)


@pytest.mark.parametrize("lost", ["ca.pem", "ca.key", "server.pem", "server.key"])
def test_a_lost_file_is_replaced(tmp_path: Path, lost: str):
    ensure_certificates(tmp_path, now=NOW)
    (tmp_path / lost).unlink()
    ensure_certificates(tmp_path, now=NOW)
    verify(tmp_path, NOW)


def test_an_authority_cut_off_between_key_and_certificate_is_replaced(tmp_path: Path):
    ensure_certificates(tmp_path / "one", now=NOW)
    ensure_certificates(tmp_path / "two", now=NOW)
    (tmp_path / "two" / "ca.key").replace(tmp_path / "one" / "ca.key")
    ensure_certificates(tmp_path / "one", now=NOW)
    verify(tmp_path / "one", NOW)


def test_private_keys_are_private(tmp_path: Path):
    ensure_certificates(tmp_path, now=NOW)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"ca.key": 0o600, "ca.pem": 0o644, "server.key": 0o600, "server.pem": 0o644}
