"""How a chain begins: who opened it, in which process, with which first key in escrow.

A process has an Ed25519 key of its own, which Vault certifies once for its role. Each chain that
it opens is signed with that key. So nobody can add a chain to the log without a Vault login of
that role, not even a superuser of the database.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from vaultdb.audit.chain import Chain
from vaultdb.audit.event import canonical, timestamp
from vaultdb.audit.keys import AuditKeys, EscrowKey, WriterKeys
from vaultdb.crypto.encoding import canon

_OPENING: Final = b"vaultdb/audit/opening/v1"
_WRITER: Final = b"vaultdb/audit/writer/v1"
_SIGNED = re.compile(r"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)")


class OpeningError(ValueError):
    """A chain was not opened by a process that Vault certified; says why."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that may open chains.

    Args:
        realm: the realm whose log it writes.
        role: its Vault role.
        entity: the id of its Vault entity, or None.
        process: 16 hex digits that tell it from every other process.
        issued: when Vault certified it.
        certificate: Vault's signature over all of these.
        private_key: signs the openings; secret, never leaves the process.
        public_key: 32 bytes.

    """

    realm: str
    role: str
    entity: str | None
    process: str
    issued: str
    certificate: str
    private_key: Ed25519PrivateKey = field(repr=False)
    public_key: bytes
    pid: int

    @classmethod
    def certified(cls, realm: str, keys: AuditKeys) -> Writer:
        """Make a key for this process and have it certified: one call to Vault.

        Raises:
            VaultError: Vault does not answer, or the role may not write the log.

        """
        private_key = Ed25519PrivateKey.generate()
        public_key = private_key.public_key().public_bytes_raw()
        issued = timestamp()
        certificate = keys.certify(_writer_statement(realm, keys.role, public_key, issued))
        return cls(
            realm=realm,
            role=keys.role,
            entity=keys.entity,
            process=secrets.token_hex(8),
            issued=issued,
            certificate=certificate,
            private_key=private_key,
            public_key=public_key,
            pid=os.getpid(),
        )

    def open(self, login: str, escrow: EscrowKey) -> tuple[Chain, Opening]:
        """Begin a chain.

        Args:
            login: the database login of its connection.
            escrow: whom the first key is sealed for.

        """
        chain, first_key = Chain.new()
        unsigned = Opening(
            chain=chain.id.hex,
            at=timestamp(),
            realm=self.realm,
            role=self.role,
            login=login,
            entity=self.entity,
            host=platform.node(),
            pid=os.getpid(),
            process=self.process,
            escrow=escrow.seal(first_key),
            writer=_b64(self.public_key),
            issued=self.issued,
            certificate=self.certificate,
            signature="",
        )
        signature = self.private_key.sign(unsigned.signed_text())
        return chain, replace(unsigned, signature=_b64(signature))


@dataclass(frozen=True, slots=True)
class Opening:
    """The opening of a chain, as it is stored beside it; nothing in it is secret.

    Args:
        chain: its id, 32 hex digits.
        at: when it was opened.
        realm: the realm of the log.
        role: the Vault role of the process.
        login: its database login.
        entity: the id of its Vault entity, or None.
        host: the machine's name.
        pid: the process id.
        process: 16 hex digits, of the process.
        escrow: the first key, sealed for the auditor.
        writer: base64 of the process's public key.
        issued: when Vault certified the process.
        certificate: by Vault, over realm, role, public key and time of issue.
        signature: by the process, base64, over all of the above.

    """

    chain: str
    at: str
    realm: str
    role: str
    login: str
    entity: str | None
    host: str
    pid: int
    process: str
    escrow: str
    writer: str
    issued: str
    certificate: str
    signature: str
    v: int = 1

    def text(self) -> str:
        """Return the canonical JSON that is stored."""
        return canonical(asdict(self))

    def signed_text(self) -> bytes:
        """Return what the process signs."""
        said = asdict(self)
        del said["signature"]
        return canon(_OPENING, canonical(said).encode())

    @property
    def id(self) -> UUID:
        """The chain's id."""
        return UUID(hex=self.chain)

    @classmethod
    def parse(cls, text: str) -> Opening:
        """Read a stored opening.

        Raises:
            OpeningError: it is not one, or not in canonical form.

        """
        try:
            said: Any = json.loads(text)
            opening = cls(**said)
            _check_types(opening)
            exact = opening.text() == text and UUID(hex=opening.chain).hex == opening.chain
        except (TypeError, ValueError, RecursionError):
            raise OpeningError("the opening of the chain cannot be read") from None
        if not exact:
            raise OpeningError("the opening of the chain is not in its canonical form")
        return opening

    def check(self, chain: UUID, realm: str, keys: WriterKeys) -> None:
        """Check that a process certified for its role signed this opening, for this chain.

        Raises:
            OpeningError: it did not; says why.

        """
        if self.chain != chain.hex or self.realm != realm or self.v != 1:
            raise OpeningError("the opening belongs to another chain or realm")
        match = _SIGNED.fullmatch(self.certificate)
        public_key = match and keys.writer_public_key(self.role, int(match[1]))
        if match is None or public_key is None:
            raise OpeningError(f"no known key certifies the process for the role {self.role!r}")
        writer = _bytes(self.writer)
        statement = _writer_statement(self.realm, self.role, writer, self.issued)
        if not _is_signed(public_key, _bytes(match[2]), statement):
            raise OpeningError("vault did not certify the process that opened the chain")
        if not _is_signed(writer, _bytes(self.signature), self.signed_text()):
            raise OpeningError("the opening was changed after the process signed it")


def opening_digest(text: str) -> str:
    """Return what the first record of a chain says of its opening: hex SHA-256 of the text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _writer_statement(realm: str, role: str, public_key: bytes, issued: str) -> bytes:
    return canon(_WRITER, realm.encode(), role.encode(), public_key, issued.encode())


def _is_signed(public_key: bytes, signature: bytes, said: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, said)
    except (InvalidSignature, ValueError):
        return False
    return True


def _check_types(opening: Opening) -> None:
    texts = asdict(opening)
    numbers = [texts.pop("pid"), texts.pop("v")]
    if texts["entity"] is None:
        del texts["entity"]
    if not all(type(number) is int for number in numbers):
        raise TypeError
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError
    "".join(texts.values()).encode()  # a ValueError for halves of surrogate pairs


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
