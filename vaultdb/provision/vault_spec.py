"""What a Vault for vaultdb is to look like; numbers are seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from vaultdb.db.role_names import RoleNames
from vaultdb.settings.model import KEK, LEASE_MOUNT, PKI_MOUNT, TRANSIT_MOUNT
from vaultdb.vault.login.approle import MOUNT as APPROLE_MOUNT
from vaultdb.vault.policies import Role

HOUR = 3600
DAY = 24 * HOUR
YEAR = 365 * DAY

TOKEN_PERIOD = HOUR
"""A token is renewed for ever, and is dead this long after its process."""

ROLES = tuple(role for role in Role if role is not Role.SHREDDER)
"""Who is set up. The shredder is not: a standing login that can destroy everything is the very
thing that break-glass avoids. `render_policy` has its policy for the day that it is needed."""


@dataclass(frozen=True, slots=True)
class LeaseSpec:
    """How Vault reaches PostgreSQL and what it leases.

    Args:
        url: `postgresql://host:port/database?sslmode=verify-full&sslrootcert=…` as Vault sees it,
            without a user; the file lies on Vault's machine.
        password: of the engine's login, secret; None leaves what Vault knows.
        names: of the capability roles.
        mount: of the database engine.
        connection: its name in the mount.
        default_ttl: of a lease until it is renewed.
        max_ttl: of a lease in all.
        static: keep one user for each login and change its password, instead of making users.
        rotation_period: of a static login's password.
        replace: let an existing connection to another database go.

    """

    url: str
    password: str | None = field(default=None, repr=False)
    names: RoleNames = field(default_factory=RoleNames)
    mount: str = LEASE_MOUNT
    connection: str = "vaultdb"
    default_ttl: int = HOUR
    max_ttl: int = DAY
    static: bool = False
    rotation_period: int = DAY
    replace: bool = False


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """The authority for client certificates.

    Args:
        names: of the roles; a certificate's name is that of the login in PostgreSQL.
        mount: of the PKI engine.
        intermediate: let another authority sign this one, instead of a root of its own.
        signed: the intermediate's certificate, PEM, once that was done.
        ttl: of a client certificate unless its owner asks for less.
        max_ttl: of a client certificate at most.
        authority_ttl: of the authority's own certificate.

    """

    names: RoleNames = field(default_factory=RoleNames)
    mount: str = PKI_MOUNT
    intermediate: bool = False
    signed: str | None = None
    ttl: int = HOUR
    max_ttl: int = DAY
    authority_ttl: int = 10 * YEAR


@dataclass(frozen=True, slots=True)
class JwtSpec:
    """Logins by JWT, beside AppRole.

    Args:
        subjects: the `sub` claim of each role that gets one.
        audience: the `aud` claim that all must have.
        mount: of the JWT method, which knows its keys already.

    """

    subjects: tuple[tuple[Role, str], ...]
    audience: str = "vaultdb"
    mount: str = "jwt"


@dataclass(frozen=True, slots=True)
class VaultSpec:
    """Everything that vaultdb needs in a Vault.

    Args:
        transit_mount: of the transit engine.
        kek: name of the key-encryption key.
        roles: that get a policy and a login.
        approle_mount: of the AppRole method, None to leave it out.
        jwt: logins by JWT, None to leave them out.
        leases: the database engine, None to leave it out.
        certificates: the PKI engine, None to leave it out.
        create_keys: let the app make missing DEKs by itself.
        reader_decrypts: let the reader unwrap DEKs.
        tenant_keks: let the roles make and use KEKs of tenants.

    """

    transit_mount: str = TRANSIT_MOUNT
    kek: str = KEK
    roles: tuple[Role, ...] = ROLES
    approle_mount: str | None = APPROLE_MOUNT
    jwt: JwtSpec | None = None
    leases: LeaseSpec | None = None
    certificates: CertificateSpec | None = None
    create_keys: bool = False
    reader_decrypts: bool = False
    tenant_keks: bool = False
