"""The keys that the audit log needs from outside the process, and who may use them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256


@dataclass(frozen=True, slots=True)
class EscrowKey:
    """The RSA public key that a chain's first key is encrypted to; only the auditor opens it.

    Args:
        public_key: of 3072 bits or more.
        version: of the transit key, from 1.

    """

    public_key: RSAPublicKey = field(repr=False)
    version: int

    def seal(self, first_key: bytes) -> str:
        """Return the chain's first key (32 secret bytes) as transit would encrypt it.

        Done here and not by Vault, so that a chain can be opened while Vault is away.
        """
        sealed = self.public_key.encrypt(first_key, OAEP(MGF1(SHA256()), SHA256(), None))
        return f"vault:v{self.version}:{base64.b64encode(sealed).decode()}"


@runtime_checkable
class AuditKeys(Protocol):
    """What a process that writes the log asks for, once."""

    @property
    def role(self) -> str:
        """The Vault role that this process works as, such as `app`."""
        ...

    @property
    def entity(self) -> str | None:
        """The id of its Vault entity, or None."""
        ...

    def escrow(self) -> EscrowKey:
        """Return the newest escrow key.

        Raises:
            VaultError: Vault does not answer, and no key is known yet.

        """
        ...

    def certify(self, statement: bytes) -> str:
        """Sign a statement with the Ed25519 key of this role: `vault:v<version>:<base64>`.

        Raises:
            VaultError: Vault does not answer, or the role may not.

        """
        ...


@runtime_checkable
class CheckpointSigner(Protocol):
    """Who signs checkpoints: the sequencer's Vault login."""

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key that `sign` uses: 32 bytes."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return the signature of a checkpoint's text: 64 bytes."""
        ...


@runtime_checkable
class EscrowOpener(Protocol):
    """Who opens the escrow: the auditor's Vault login."""

    def open(self, sealed: Sequence[str]) -> list[bytes | None]:
        """Return the first keys of chains (32 secret bytes each); None for what does not open."""
        ...


@runtime_checkable
class WriterKeys(Protocol):
    """The public keys that certify the processes of each Vault role."""

    def writer_public_key(self, role: str, version: int) -> bytes | None:
        """Return the Ed25519 public key of a role (32 bytes); None if there is no such key."""
        ...
