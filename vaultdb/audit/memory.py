"""The keys of the audit log in memory, for tests and for the local key provider."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from vaultdb.audit.keys import EscrowKey

_RSA_BITS = 3072
_RSA_EXPONENT = 65537
_SEALED = re.compile(r"vault:v1:([A-Za-z0-9+/=]+)")


class MemoryAuditKeys:
    """Everything that Vault does for the log, by keys that live as long as this object.

    It is an `AuditKeys`, a `CheckpointSigner`, an `EscrowOpener` and a `WriterKeys` at once:
    who holds it can write, sign and verify, so it protects nothing.

    Args:
        role: the role that it certifies processes for.
        entity: what events call the Vault entity.

    """

    def __init__(self, role: str = "app", entity: str | None = None) -> None:
        self.role = role
        self.entity = entity
        self._certifier = Ed25519PrivateKey.generate()
        self._signer = Ed25519PrivateKey.generate()

    @cached_property
    def _rsa(self) -> RSAPrivateKey:
        return generate_private_key(_RSA_EXPONENT, _RSA_BITS)

    def escrow(self) -> EscrowKey:
        """Return the public part of the escrow key."""
        return EscrowKey(self._rsa.public_key(), 1)

    def open(self, sealed: Sequence[str]) -> list[bytes | None]:
        """Return the first keys of chains; None for what does not open."""
        return [self._opened(text) for text in sealed]

    def certify(self, statement: bytes) -> str:
        """Sign a statement for the role."""
        return f"vault:v1:{base64.b64encode(self._certifier.sign(statement)).decode()}"

    def writer_public_key(self, role: str, version: int) -> bytes | None:
        """Return the key that certifies processes of the role: 32 bytes."""
        mine = role == self.role and version == 1
        return self._certifier.public_key().public_bytes_raw() if mine else None

    @property
    def public_key(self) -> bytes:
        """The key that checkpoints are verified with: 32 bytes."""
        return self._signer.public_key().public_bytes_raw()

    def sign(self, text: bytes) -> bytes:
        """Sign a checkpoint."""
        return self._signer.sign(text)

    def _opened(self, sealed: str) -> bytes | None:
        match = _SEALED.fullmatch(sealed)
        if match is None:
            return None
        try:
            return self._rsa.decrypt(
                base64.b64decode(match[1]), OAEP(MGF1(SHA256()), SHA256(), None)
            )
        except ValueError:
            return None
