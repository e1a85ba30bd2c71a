"""A small certificate authority for the two private servers, renewed before it expires."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vaultdb.dev.files import PRIVATE, PUBLIC, write_atomically

AUTHORITY_LIFETIME = dt.timedelta(days=3650)
SERVER_LIFETIME = dt.timedelta(days=397)  # what CA/B browsers and most TLS policies accept at most
RENEW_BEFORE = dt.timedelta(days=60)
CLOCK_SKEW = dt.timedelta(hours=1)
NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the authority's and the servers' certificate lie, as PEM files."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate that clients trust."""
        return self.folder / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """The authority's private key, mode 0600."""
        return self.folder / "ca.key"

    @property
    def server(self) -> Path:
        """The servers' certificate."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """The servers' private key, mode 0600."""
        return self.folder / "server.key"


def ensure_certificates(
    folder: Path, *, now: dt.datetime | None = None
) -> tuple[Certificates, bool]:
    """Return the certificates in `folder` and whether they had to be made or renewed."""
    now = now or dt.datetime.now(dt.UTC)
    files = Certificates(folder)
    folder.mkdir(parents=True, exist_ok=True)
    authority, key, made = _authority(files, now)
    if made or not _good(files.server, now) or not files.server_key.exists():
        _issue(files, authority, key, now)
        made = True
    return files, made


def _good(path: Path, now: dt.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE


def _authority(
    files: Certificates, now: dt.datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey, bool]:
    if _good(files.authority, now) and files.authority_key.exists():
        loaded = serialization.load_pem_private_key(files.authority_key.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(files.authority.read_bytes())
        # a start killed between the two writes leaves a key that is not the certificate's
        if isinstance(loaded, ec.EllipticCurvePrivateKey) and (
            loaded.public_key() == certificate.public_key()
        ):
            return certificate, loaded, False
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("vaultdb dev authority")
    certificate = (
        _builder(name, name, key, now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_atomically(files.authority_key, _pem(key), mode=PRIVATE)
    write_atomically(
        files.authority, certificate.public_bytes(serialization.Encoding.PEM), mode=PUBLIC
    )
    return certificate, key, True


def _issue(
    files: Certificates,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name("vaultdb dev server"), authority.subject, key, now, SERVER_LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName([_alternative(n) for n in NAMES]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    write_atomically(files.server_key, _pem(key), mode=PRIVATE)
    write_atomically(
        files.server, certificate.public_bytes(serialization.Encoding.PEM), mode=PUBLIC
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: dt.datetime,
    lifetime: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
