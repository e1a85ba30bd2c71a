"""Certificates of every wrong kind: expired, of another authority, of another name, revoked."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Files:
    """A certificate and its key."""

    certificate: Path
    key: Path
    serial: int

    @property
    def settings(self) -> dict[str, str]:
        return {"sslcert": str(self.certificate), "sslkey": str(self.key)}


class Authority:
    """Signs what it is told."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name.replace(" ", "-")
        self.folder.mkdir()
        self.name = _name(name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        signed = (
            self._builder(self.name, self.key, -DAY, DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.certificate = self.folder / "ca.pem"
        self.certificate.write_bytes(signed.public_bytes(PEM))

    def server(
        self, name: str = "127.0.0.1", begin: dt.timedelta = -DAY, end: dt.timedelta = DAY
    ) -> Files:
        """Issue a server's certificate for one address or name."""
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        return self._issue(
            f"server-{name}", ExtendedKeyUsageOID.SERVER_AUTH, begin, end, [alternative]
        )

    def client(self, name: str, begin: dt.timedelta = -DAY, end: dt.timedelta = DAY) -> Files:
        """Issue a client's certificate with a common name."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, begin, end, [])

    def revoking(self, *revoked: Files) -> str:
        """Return a list of revoked certificates as PEM."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(NOW - DAY)
            .next_update(NOW + DAY)
        )
        for files in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(files.serial)
            builder = builder.add_revoked_certificate(entry.revocation_date(NOW - DAY).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(PEM).decode()

    def _issue(
        self,
        name: str,
        usage: x509.ObjectIdentifier,
        begin: dt.timedelta,
        end: dt.timedelta,
        alternatives: list[x509.GeneralName],
    ) -> Files:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(name), key, begin, end)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        signed = builder.sign(self.key, hashes.SHA256())
        base = self.folder / str(signed.serial_number)
        files = Files(base.with_suffix(".pem"), base.with_suffix(".key"), signed.serial_number)
        files.certificate.write_bytes(signed.public_bytes(PEM))
        files.key.touch(mode=0o600)
        files.key.write_bytes(
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return files

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begin: dt.timedelta,
        end: dt.timedelta,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + begin)
            .not_valid_after(NOW + end)
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
