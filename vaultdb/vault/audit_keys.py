"""What a writer of the audit log gets from Vault: the escrow's public key, and a signature."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from vaultdb.after_fork import reset_in_children
from vaultdb.audit.keys import EscrowKey
from vaultdb.errors import ConfigurationError, VaultDenied, VaultError, VaultRejected
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.logs import VAULT
from vaultdb.vault.answers import take
from vaultdb.vault.client import VaultClient
from vaultdb.vault.policies import Role, escrow_key, writer_key

ESCROW_TTL = 3600.0
"""Seconds after which Vault is asked whether the escrow key has a newer version."""
SMALLEST_RSA = 3072
"""Bits of an RSA key that is good until 2030 and later (NIST SP 800-57, part 1)."""
_MAY_SIGN = frozenset({"update", "root"})
_SIGNATURE = re.compile(r"vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/=]+")


class VaultAuditKeys:
    """The `AuditKeys` of one Vault role; an outage after the first use does no harm.

    Args:
        client: logged in as that role; its owner closes it.
        mount: the transit mount.
        kek: the name of the key-encryption key, beside which the keys of the log are.
        roles: Vault roles that the login may be of, the likeliest first; Vault says which it is.

    """

    def __init__(
        self,
        client: VaultClient,
        *,
        mount: str,
        kek: str,
        roles: Sequence[str],
        _clock: Clock = BOOT_TIME,
    ) -> None:
        self._client = client
        self._mount = mount.strip("/")
        self._kek = kek
        self._roles = list(dict.fromkeys(roles))
        self._clock = _clock
        self._escrow: EscrowKey | None = None
        self._read_at = 0.0
        self.reset_after_fork()
        reset_in_children(self)

    @property
    def role(self) -> str:
        """The Vault role that this process works as.

        Where a role of the settings has no Vault login of its own, it is the application's.

        Raises:
            VaultError: Vault is to tell, and does not answer.

        """
        if len(self._roles) > 1:
            self._roles = [self._told()]
        return self._roles[0]

    @property
    def entity(self) -> str | None:
        """The id of its Vault entity; known after the first call."""
        return self._client.entity

    def escrow(self) -> EscrowKey:
        """Return the newest escrow key; an older one while Vault is away.

        Raises:
            VaultError: Vault does not answer, and no key is known yet.

        """
        with self._lock:
            known = self._escrow
            if known is not None and self._clock() < self._read_at + ESCROW_TTL:
                return known
            try:
                self._escrow = self._read()
            except VaultError as error:
                if known is None:
                    raise
                VAULT.warning("cannot look for a newer audit escrow key: %s", error)
            self._read_at = self._clock()
            return self._escrow or known  # type: ignore[return-value]

    def certify(self, statement: bytes) -> str:
        """Have Vault sign a statement with the Ed25519 key of this role.

        Raises:
            VaultError: Vault does not answer, or the role may not write the log.
            ConfigurationError: Vault has no such role.

        """
        path = f"/v1/{self._mount}/sign/{writer_key(self._kek, _known(self.role))}"
        body = {"input": base64.b64encode(statement).decode()}
        answer = self._client.call(lambda vault: vault.adapter.post(path, json=body))
        signature = take(answer, "data", "signature")
        if _SIGNATURE.fullmatch(str(signature)) is None:
            raise VaultRejected(f"{path}: vault's answer is no signature")
        return str(signature)

    def _told(self) -> str:
        """Ask Vault for which role this login may certify; the first, if for none."""
        roles = [_known(role) for role in self._roles]
        paths = {f"{self._mount}/sign/{writer_key(self._kek, role)}": role for role in roles}
        try:
            answer = self._client.call(
                lambda vault: vault.adapter.post(
                    "/v1/sys/capabilities-self", json={"paths": list(paths)}
                )
            )
        except VaultDenied:  # a policy without it, such as an older one of vaultdb's
            return self._roles[0]
        said = take(answer, "data")
        allowed = [role for path, role in paths.items() if _MAY_SIGN & set(said.get(path) or ())]
        return allowed[0] if allowed else self._roles[0]

    def reset_after_fork(self) -> None:
        """Replace the lock in a forked child; what is public may be kept."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<VaultAuditKeys {self._roles[0]}>"

    def _read(self) -> EscrowKey:
        name = escrow_key(self._kek)
        answer = self._client.call(
            lambda vault: vault.secrets.transit.read_key(name, mount_point=self._mount)
        )
        versions = take(answer, "data", "keys")
        newest = str(take(answer, "data", "latest_version"))
        pem = take(versions, newest, "public_key")
        return EscrowKey(_rsa(str(pem), f"{self._mount}/keys/{name}"), int(newest))


def _known(role: str) -> Role:
    try:
        return Role(role)
    except ValueError:
        text = f"the role {role!r} writes no audit log; use the settings of one that does"
    raise ConfigurationError(text)


def _rsa(pem: str, name: str) -> RSAPublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < SMALLEST_RSA:
        raise VaultRejected(
            f"the audit escrow {name} is no RSA key of {SMALLEST_RSA} bits or more;"
            " make it with: vaultdb provision vault"
        )
    return key
