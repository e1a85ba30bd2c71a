"""Short-lived client certificates from Vault's PKI; the private key is made and stays here."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vaultdb.errors import VaultRejected
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.vault.answers import take
from vaultdb.vault.client import VaultClient

_LONGEST_NAME = 64
"""Characters of a common name (RFC 5280, ub-common-name)."""


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate with its key.

    Args:
        pem: key, certificate and the authorities between it and the root; secret.
        serial: names it to whoever revokes it.
        obtained_at: seconds of the boot-time clock, taken before it was asked for.
        lifetime: seconds from then on in which servers accept it.

    """

    pem: bytes = field(repr=False)
    serial: str
    obtained_at: float
    lifetime: float

    @property
    def expires_at(self) -> float:
        """The end of its life by the boot-time clock."""
        return self.obtained_at + self.lifetime


class CertificateRole:
    """One role of the PKI that signs certificates of clients.

    Args:
        client: logged in as somebody who may `update` the role's `sign` path.
        mount: the PKI's path.
        role: the role's name; both come from the configuration.
        clock: seconds that also count while the machine sleeps.

    """

    def __init__(
        self, client: VaultClient, mount: str, role: str, clock: Clock = BOOT_TIME
    ) -> None:
        self.clock = clock
        self.timeout = client.timeout
        self._client = client
        self._mount = mount.strip("/")
        self._role = role

    def issue(self, common_name: str) -> IssuedCertificate:
        """Make a key (EC P-256) and have its certificate signed; Vault never sees the key.

        Args:
            common_name: who the certificate is for; at most 64 characters are kept, as X.509 has
                no room for more.

        Raises:
            VaultError: as `VaultClient.call`; rejected when the role does not allow the name.

        """
        name = common_name[:_LONGEST_NAME]
        key = ec.generate_private_key(ec.SECP256R1())
        request = _request(key, name)
        asked_at, asked_on = self.clock(), dt.datetime.now(dt.UTC)
        answer = self._client.call(
            lambda vault: vault.secrets.pki.sign_certificate(
                self._role, request, name, mount_point=self._mount
            )
        )
        data = take(answer, "data")
        certificate = _certificate(take(data, "certificate"))
        if certificate.public_key() != key.public_key():
            raise VaultRejected(f"{self}: the certificate is for another key; check vault.addr")
        return IssuedCertificate(
            pem=_private_pem(key) + _chain(data).encode(),
            serial=str(take(data, "serial_number")),
            obtained_at=asked_at,
            lifetime=self._lifetime(certificate, asked_on),
        )

    def __str__(self) -> str:
        return f"{self._mount}/sign/{self._role}"

    def __repr__(self) -> str:
        return f"<CertificateRole {self}>"

    def _lifetime(self, certificate: x509.Certificate, now: dt.datetime) -> float:
        """Return the seconds left; no more than it has in all, should our clock be slow."""
        end = certificate.not_valid_after_utc
        left = min(end - now, end - certificate.not_valid_before_utc).total_seconds()
        if left <= 0:
            raise VaultRejected(
                f"{self}: the new certificate has expired by the clock of this machine; set the"
                " clocks, or raise the role's ttl"
            )
        return left


def _request(key: ec.EllipticCurvePrivateKey, common_name: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = request.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def _certificate(text: Any) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(str(text).encode())
    except ValueError:
        raise VaultRejected("vault's answer holds no certificate; check vault.addr") from None


def _chain(data: Any) -> str:
    """Return the certificate and its authorities; a server that knows the root needs the others."""
    authorities = data.get("ca_chain") or []
    texts = [str(data["certificate"]), *map(str, authorities)]
    return "".join(text.strip() + "\n" for text in texts)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
