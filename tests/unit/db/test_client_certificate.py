"""A certificate from Vault is in memory only, replaced in time, and gone when nobody uses it."""

from __future__ import annotations

import os
import pickle
import stat
from pathlib import Path
from typing import Any

import pytest

from vaultdb.db.client_certificate import ClientCertificate, common_name
from vaultdb.db.memory_file import MemoryFile
from vaultdb.errors import ConfigurationError, VaultUnavailable
from vaultdb.settings import DatabaseSettings
from vaultdb.vault.pki import IssuedCertificate

LIFETIME = 100.0
SECRET = b"-----BEGIN PRIVATE KEY-----\nhunter2\n"


class Vault:
    """Issues certificates by a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.issued = 0
        self.is_up = True

    def issue(self) -> IssuedCertificate:
        if not self.is_up:
            raise VaultUnavailable("vault did not answer in time")
        self.issued += 1
        return IssuedCertificate(SECRET, f"serial-{self.issued}", self.now, LIFETIME)

    def certificate(self) -> ClientCertificate:
        made = ClientCertificate(self.issue, 1.0, _clock=lambda: self.now)
        made._renew_in_background = lambda: None  # type: ignore[method-assign]
        return made


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_file_is_readable_by_its_owner_alone_and_on_no_disk() -> None:
    file = MemoryFile(SECRET)
    facts = Path(file).stat()
    assert stat.S_IMODE(facts.st_mode) == 0o600
    assert facts.st_nlink == 0
    assert Path(file).read_bytes() == SECRET


def test_the_file_goes_with_its_last_user() -> None:
    before = descriptors()
    file = MemoryFile(SECRET)
    keywords: dict[str, Any] = {"sslcert": file, "sslkey": file}
    del file
    assert descriptors() == before + 1
    assert Path(keywords["sslkey"]).read_bytes() == SECRET
    keywords.clear()
    assert descriptors() == before


def test_the_file_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(MemoryFile(SECRET))


def test_a_system_without_files_in_memory_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(ConfigurationError, match=r"takes Linux .* set database\.sslcert"):
        MemoryFile(SECRET)


def test_it_is_issued_once_for_many_connections() -> None:
    vault = Vault()
    certificate = vault.certificate()
    assert certificate.file() is certificate.file()
    assert vault.issued == 1


def test_it_is_replaced_after_half_of_its_life() -> None:
    vault = Vault()
    certificate = vault.certificate()
    first = certificate.file()
    vault.now += LIFETIME / 2 - 1
    assert certificate.renew() == pytest.approx(1.0)
    assert certificate.file() is first
    vault.now += 1
    assert certificate.renew() == pytest.approx(LIFETIME / 2)
    assert certificate.file() is not first


def test_an_outage_in_the_other_half_is_not_noticed(caplog: pytest.LogCaptureFixture) -> None:
    vault = Vault()
    certificate = vault.certificate()
    first = certificate.file()
    vault.is_up = False
    vault.now += LIFETIME - 1
    assert certificate.renew() == pytest.approx(LIFETIME / 10)
    assert certificate.file() is first
    assert "client certificate not renewed, valid for 1 s: vault did not answer" in caplog.text


def test_an_expired_one_is_never_given_out() -> None:
    vault = Vault()
    certificate = vault.certificate()
    certificate.file()
    vault.is_up = False
    vault.now += LIFETIME
    with pytest.raises(VaultUnavailable):
        certificate.file()
    vault.is_up = True
    certificate.file()
    assert vault.issued == 2


def test_fifty_renewals_leave_one_file_open() -> None:
    vault = Vault()
    certificate = vault.certificate()
    certificate.file()
    before = descriptors()
    for _ in range(50):
        vault.now += LIFETIME / 2
        certificate.renew()
        certificate.file()
    assert vault.issued == 51
    assert descriptors() == before
    certificate.close()
    assert descriptors() == before - 1


def test_renewing_after_the_end_brings_nothing_back() -> None:
    vault = Vault()
    certificate = vault.certificate()
    certificate.file()
    certificate.close()
    vault.now += LIFETIME
    certificate.renew()
    assert vault.issued == 1
    assert certificate.at_hand() is None


def test_nothing_shows_the_key() -> None:
    vault = Vault()
    certificate = vault.certificate()
    certificate.file()
    assert "hunter2" not in repr(certificate) + repr(certificate._held) + repr(vault.issue())


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"url": "postgresql://app@db/clinic"}, "app"),
        ({"url": "postgresql://db/clinic?user=app"}, "app"),
        ({"url": "postgresql://db/clinic", "lease": "vaultdb-app-rw"}, "vaultdb-app"),
        ({"url": "postgresql://db/clinic"}, "vaultdb-app"),
    ],
)
def test_the_common_name_is_the_login_or_the_role_of_a_leased_one(
    values: dict[str, str], name: str
) -> None:
    given = DatabaseSettings.model_validate({"certificate_role": "vaultdb-app", **values})
    assert common_name(given) == name
