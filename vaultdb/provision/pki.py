"""The authority for client certificates, and one role for each login's name."""

from __future__ import annotations

from vaultdb.errors import ConfigurationError
from vaultdb.provision.lease_roles import login_of
from vaultdb.provision.step import State
from vaultdb.provision.vault_objects import VaultObjects
from vaultdb.provision.vault_spec import CertificateSpec
from vaultdb.vault.answers import take
from vaultdb.vault.policies import LEASES, Role, certificate_role

AUTHORITY = "vaultdb logins"
"""The common name of the authority."""
_KEY: dict[str, object] = {"key_type": "ec", "key_bits": 256}


def set_up_certificates(vault: VaultObjects, spec: CertificateSpec) -> str | None:
    """Mount PKI, make the authority and its roles.

    Returns:
        the request (PEM) that another authority must sign, None when nothing is to be signed.

    """
    lifetime = f"{spec.authority_ttl}s"
    vault.ensure_mount(spec.mount, "pki", "client certificates", config={"max_lease_ttl": lifetime})
    request = _authority(vault, spec)
    for role in Role:
        if role in LEASES and certificate_role(role) == f"vaultdb-{role}":
            _role(vault, spec, role)
    return request


def authority(vault: VaultObjects, mount: str) -> str:
    """Return the authority's certificate with those above it, PEM, for `ssl_ca_file`.

    Raises:
        ConfigurationError: there is none yet.

    """
    if not _has_authority(vault, mount):
        raise ConfigurationError(f"there is no authority in {mount}: run vaultdb provision vault")
    found = vault.read(f"{mount}/cert/ca_chain") or {}
    return str(take(found, "certificate")).strip() + "\n"


def _has_authority(vault: VaultObjects, mount: str) -> bool:
    found = vault.read(f"{mount}/config/issuers") if f"{mount}/" in vault.mounted() else None
    return bool(found and found.get("default"))


def _authority(vault: VaultObjects, spec: CertificateSpec) -> str | None:
    what = f"authority in {spec.mount}"
    if _has_authority(vault, spec.mount):
        vault.progress.step(what, State.SAME)
        return None
    if spec.signed is not None:
        path = f"{spec.mount}/intermediate/set-signed"
        signed = {"certificate": spec.signed}
        vault.progress.step(what, State.CREATE, lambda: vault.write(path, signed))
        return None
    asked: dict[str, object] = {"common_name": AUTHORITY, **_KEY}
    if not spec.intermediate:
        path = f"{spec.mount}/root/generate/internal"
        body = {**asked, "ttl": f"{spec.authority_ttl}s"}
        vault.progress.step(what, State.CREATE, lambda: vault.write(path, body))
        return None
    requests: list[str] = []
    path = f"{spec.mount}/intermediate/generate/internal"
    vault.progress.step(
        f"request for the {what}",
        State.CREATE,
        lambda: requests.append(str(take(vault.write(path, asked), "data", "csr"))),
        detail=["have it signed by your authority, then give --authority-certificate FILE"],
    )
    return requests[0] if requests else None


def _role(vault: VaultObjects, spec: CertificateSpec, role: Role) -> None:
    name = certificate_role(role)
    vault.ensure(
        f"certificate role {name}",
        f"{spec.mount}/roles/{name}",
        {
            # for a static login its own name; a leased one has a new name each time
            "allowed_domains": [login_of(LEASES[role], spec.names).name, name],
            "allow_bare_domains": True,
            "allow_subdomains": False,
            "allow_any_name": False,
            "allow_localhost": False,
            "allow_ip_sans": False,
            "allow_wildcard_certificates": False,
            # a login's name is not a host name; cn_validations stay on, or any name would pass
            "enforce_hostnames": False,
            "require_cn": True,
            "use_csr_common_name": True,
            "use_csr_sans": False,
            "client_flag": True,
            "server_flag": False,
            "key_usage": ["DigitalSignature"],
            **_KEY,
            "ttl": spec.ttl,
            "max_ttl": spec.max_ttl,
            "no_store": True,  # they end within a day; a list of millions helps nobody
        },
    )


def read_signed(text: str) -> str:
    """Return the PEM certificates in a text.

    Raises:
        ConfigurationError: there is none.

    """
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ConfigurationError("--authority-certificate: the file holds no PEM certificate")
    return text
