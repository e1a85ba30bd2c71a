"""What each role of vaultdb may do in Vault: exact paths, and one glob for the KEKs of tenants.

Vault applies the most specific rule alone, so a glob such as `keys/*` is undone by any narrower
rule beside it, and `decrypt/*` would open every other key of the mount, among them the audit
escrow. Nobody may export, back up or trim a key, and only the shredder may delete one.

Tenants with KEKs of their own come and go, so their rules end in `KEK-tenant-*`, with which no
other key's name begins. A glob of Vault's reaches into what lies below a path, `keys/NAME/config`
for one. So a rule that may write there says which parameters it may and must have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from vaultdb.errors import ConfigurationError
from vaultdb.settings.model import LEASE_MOUNT, PKI_MOUNT
from vaultdb.vault.lease_names import Lease
from vaultdb.vault.tenant_kek import tenant_prefix
from vaultdb.vault.transit import KEK_BODY

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MOUNT = re.compile(rf"{_NAME.pattern}(/{_NAME.pattern})*")


class Role(StrEnum):
    """Who calls Vault, and why."""

    APP = "app"
    """unwraps DEKs, to encrypt and decrypt values"""
    READER = "reader"
    """reads what is not encrypted, by a login that cannot write; has no key unless told"""
    REENCRYPTOR = "reencryptor"
    """unwraps DEKs, to re-encrypt rows and to verify a rewrap"""
    OFFICER = "officer"
    """makes DEKs and raises minimum versions; a human, rarely"""
    ROTATOR = "rotator"
    """makes KEK versions and rewraps DEKs; never sees a plaintext DEK"""
    SHREDDER = "shredder"
    """deletes one KEK, and with it everything under it; break-glass, a human"""
    SEQUENCER = "sequencer"
    """signs the checkpoints of the audit log"""
    AUDITOR = "auditor"
    """opens the escrow of the audit chains and reads the log; has no data key"""
    MIGRATOR = "migrator"
    """changes tables; has no key"""
    BACKUP = "backup"
    """reads every row as it is stored; has no key"""


LEASES = {
    Role.APP: Lease.APP_RW,
    Role.READER: Lease.APP_RO,
    Role.REENCRYPTOR: Lease.ROTATOR,
    Role.OFFICER: Lease.OFFICER,
    Role.ROTATOR: Lease.ROTATOR,
    Role.AUDITOR: Lease.AUDITOR,
    Role.SEQUENCER: Lease.SEQUENCER,
    Role.MIGRATOR: Lease.MIGRATOR,
    Role.BACKUP: Lease.BACKUP,
}
"""The login in PostgreSQL that each role may lease; the others never connect to it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One path of a policy.

    Args:
        path: exact.
        capabilities: of read, update, delete.
        parameters: the only ones that may be sent, each with the values that it may have; an empty
            tuple is any value. None allows every parameter, no pair at all allows none.
        all_required: whether all of these must be sent.

    """

    path: str
    capabilities: tuple[str, ...]
    parameters: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    all_required: bool = False

    def render(self) -> str:
        """Return the rule in HCL."""
        words = ", ".join(f'"{word}"' for word in self.capabilities)
        lines = [f'path "{self.path}" {{', f"  capabilities = [{words}]"]
        if self.parameters:
            inner = [f'    "{name}" = [{", ".join(values)}]' for name, values in self.parameters]
            lines += ["  allowed_parameters = {", *inner, "  }"]
        elif self.parameters is not None:
            lines += ["  denied_parameters = {", '    "*" = []', "  }"]
        if self.parameters and self.all_required:
            names = ", ".join(f'"{name}"' for name, _ in self.parameters)
            lines.append(f"  required_parameters = [{names}]")
        return "\n".join([*lines, "}", ""])


OWN_TOKEN = (
    Rule("auth/token/lookup-self", ("read",)),
    Rule("auth/token/renew-self", ("update",)),
    Rule("auth/token/revoke-self", ("update",)),
    Rule("sys/capabilities-self", ("update",)),
)
"""What every role may do with its own token; also in Vault's `default` policy, which a careful
operator leaves out."""


ALL_TENANTS = "*"
"""Every tenant's KEK, now and later."""


def checkpoint_key(kek: str) -> str:
    """Return the name of the ed25519 key that signs audit checkpoints, beside this KEK."""
    return f"{kek}-checkpoint"


def escrow_key(kek: str) -> str:
    """Return the name of the RSA key that the first keys of audit chains are encrypted to."""
    return f"{kek}-escrow"


def writer_key(kek: str, role: str) -> str:
    """Return the name of the ed25519 key that certifies a role's processes for the audit log."""
    return f"{kek}-writer-{role}"


def certificate_role(role: Role) -> str | None:
    """Return the PKI role that signs this role's client certificate, None when it has no login."""
    if role not in LEASES:
        return None
    # one login in PostgreSQL, one name in a certificate
    return f"vaultdb-{Role.ROTATOR if role is Role.REENCRYPTOR else role}"


def render_policy(
    role: str,
    *,
    mount: str,
    kek: str,
    lease_mount: str | None = LEASE_MOUNT,
    lease_kind: str = "dynamic",
    certificate_mount: str | None = PKI_MOUNT,
    create_keys: bool = False,
    reader_decrypts: bool = False,
    tenant_keks: str | None = None,
) -> str:
    """Return the HCL policy of a role for one KEK, and those of tenants.

    Args:
        role: one of `Role`.
        mount: the path of the transit mount.
        kek: the key's name.
        lease_mount: the path of the database engine, None when logins are not leased.
        lease_kind: `dynamic`, or `static` for one user whose password Vault changes.
        certificate_mount: the path of the PKI engine, None without client certificates.
        create_keys: let the app make missing DEKs by itself, for `create_keys = true`.
        reader_decrypts: let the reader unwrap DEKs, for columns that it was granted by name.
        tenant_keks: the KEKs of tenants, where keysets have `kek = "tenant"`: `ALL_TENANTS`, or the
            name of one, from `tenant_kek`. The shredder may then delete these and no other.

    Raises:
        ConfigurationError: an unknown role, or a name with characters that mean something in a
            policy.

    """
    mounts = [each.strip("/") for each in (mount, lease_mount, certificate_mount) if each]
    if not mount or not all(map(_MOUNT.fullmatch, mounts)) or not _NAME.fullmatch(kek):
        raise ConfigurationError(
            f"a policy cannot be written for key {kek!r} in mount {', '.join(map(repr, mounts))}: "
            "use letters, digits, dots, dashes and underscores"
        )
    if re.search(r"-tenant(-|$)", kek):
        raise ConfigurationError(
            f"vault.kek is {kek!r}, which is how the keys of tenants are called; choose another"
        )
    if role not in set(Role):
        raise ConfigurationError(f"there is no role {role!r}; the roles are {', '.join(Role)}")
    chosen = Role(role)
    tenants = _tenants(kek, tenant_keks)
    rules = [] if tenants and chosen is Role.SHREDDER else list(_keys(chosen, mounts[0], kek))
    if tenants:
        rules += _tenant_keys(chosen, mounts[0], tenants)
    rules += _audit(chosen, mounts[0], kek)
    if create_keys and chosen is Role.APP:
        rules += [
            Rule(f"{mounts[0]}/datakey/plaintext/{name}", ("update",))
            for name in filter(None, (kek, tenants))
        ]
    if reader_decrypts and chosen is Role.READER:
        rules += _keys(Role.APP, mounts[0], kek)
        if tenants:
            rules += _tenant_keys(Role.APP, mounts[0], tenants)
    if lease_mount:
        rules += _lease(chosen, lease_mount.strip("/"), lease_kind)
    if certificate_mount:
        rules += _certificate(chosen, certificate_mount.strip("/"))
    return "\n".join(rule.render() for rule in (*rules, *OWN_TOKEN))


def _keys(role: Role, mount: str, kek: str) -> Iterator[Rule]:
    read = Rule(f"{mount}/keys/{kek}", ("read",))
    config = f"{mount}/keys/{kek}/config"
    match role:
        case Role.APP | Role.REENCRYPTOR:
            yield read
            yield Rule(f"{mount}/decrypt/{kek}", ("update",))
        case Role.OFFICER:
            yield read
            yield Rule(f"{mount}/datakey/plaintext/{kek}", ("update",))
            # and nothing else: `exportable` could never be taken back
            minimum = (("min_decryption_version", ()), ("min_encryption_version", ()))
            yield Rule(config, ("update",), minimum)
        case Role.ROTATOR:
            yield read
            yield Rule(f"{mount}/rewrap/{kek}", ("update",))
            yield Rule(f"{mount}/keys/{kek}/rotate", ("update",))
        case Role.SHREDDER:
            yield Rule(f"{mount}/keys/{kek}", ("read", "delete"))
            yield Rule(config, ("update",), (("deletion_allowed", ()),))
        case _:
            return


def _audit(role: Role, mount: str, kek: str) -> Iterator[Rule]:
    """Let each role certify its own processes, and nobody but the auditor open the escrow."""
    yield Rule(f"{mount}/keys/{escrow_key(kek)}", ("read",))
    yield Rule(f"{mount}/sign/{writer_key(kek, role)}", ("update",))
    if role is Role.SEQUENCER:
        yield Rule(f"{mount}/keys/{checkpoint_key(kek)}", ("read",))
        yield Rule(f"{mount}/sign/{checkpoint_key(kek)}", ("update",))
    elif role is Role.AUDITOR:
        yield Rule(f"{mount}/keys/{checkpoint_key(kek)}", ("read",))
        yield Rule(f"{mount}/decrypt/{escrow_key(kek)}", ("update",))
        for each in Role:
            yield Rule(f"{mount}/keys/{writer_key(kek, each)}", ("read",))


def _tenants(kek: str, tenant_keks: str | None) -> str | None:
    """Return the names of the tenants' KEKs as they stand in a path."""
    if tenant_keks == ALL_TENANTS:
        return f"{tenant_prefix(kek)}*"
    if tenant_keks and not (
        tenant_keks.startswith(tenant_prefix(kek)) and _NAME.fullmatch(tenant_keks)
    ):
        raise ConfigurationError(f"{tenant_keks!r} is not the key of a tenant beside {kek!r}")
    return tenant_keks


def _tenant_keys(role: Role, mount: str, names: str) -> Iterator[Rule]:
    keys = f"{mount}/keys/{names}"
    match role:
        case Role.APP | Role.REENCRYPTOR:
            yield Rule(keys, ("read",))
            yield Rule(f"{mount}/decrypt/{names}", ("update",))
        case Role.OFFICER:
            # No key can be made here that is not derived, or exportable. Vault asks for required
            # parameters at a read, too; making a key that exists answers with its properties.
            wanted = tuple((name, (json.dumps(value),)) for name, value in KEK_BODY.items())
            yield Rule(keys, ("create", "update"), wanted, all_required=True)
            yield Rule(f"{mount}/datakey/plaintext/{names}", ("update",))
        case Role.ROTATOR:
            yield Rule(f"{mount}/rewrap/{names}", ("update",))
            if names.endswith("*"):
                yield Rule(keys, ("read", "update"), ())  # update for keys/NAME/rotate
            else:
                yield Rule(keys, ("read",))
                yield Rule(f"{keys}/rotate", ("update",))
        case Role.SHREDDER:
            deletion = (("deletion_allowed", ()),)
            if names.endswith("*"):
                yield Rule(keys, ("read", "update", "delete"), deletion)
            else:
                yield Rule(keys, ("read", "delete"))
                yield Rule(f"{keys}/config", ("update",), deletion)
        case _:
            return


def _lease(role: Role, mount: str, kind: str) -> Iterator[Rule]:
    if role not in LEASES:
        return
    if kind == "static":  # read, not leased: nothing to renew or to revoke
        yield Rule(f"{mount}/static-creds/{LEASES[role].engine_role}", ("read",))
        return
    creds = f"{mount}/creds/{LEASES[role].engine_role}"
    own = (f'"{creds}/*"',)  # the ids of its own leases, a value and not a path
    yield Rule(creds, ("read",))
    yield Rule("sys/leases/renew", ("update",), (("lease_id", own), ("increment", ())))
    yield Rule("sys/leases/revoke", ("update",), (("lease_id", own), ("sync", ())))


def _certificate(role: Role, mount: str) -> Iterator[Rule]:
    name = certificate_role(role)
    if name is not None:
        yield Rule(f"{mount}/sign/{name}", ("update",))
