"""Signed checkpoints, in the C2SP formats `signed-note` and `tlog-checkpoint`.

::

    vaultdb-audit/realm            the origin: which log this is
    96700                          its size, in leaves
    1UjWl…=                        its root, base64

    — vaultdb-audit/realm AbCd…=   base64 of the key hash (4 bytes) and the signature (64 bytes)

Standard witnesses and tools of transparency logs read them as they are.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vaultdb.audit.merkle import HASH_SIZE
from vaultdb.errors import ConfigurationError

ED25519: Final = b"\x01"
"""The signature type of C2SP."""

_LINES: Final = 3
_HASH: Final = 4
_PUBLIC_KEY_SIZE: Final = 32
_MAX_SIZE_DIGITS: Final = 19
_DASH: Final = "\N{EM DASH} "
_ORIGIN = re.compile(r"vaultdb-audit/[^\s+/]+(/[1-9][0-9]*)?")


class NoteError(ValueError):
    """The text is not a signed checkpoint, or its signature does not fit; says which."""


def origin_of(realm: str, epoch: int = 1) -> str:
    """Return the name of a realm's log; a log that began anew has its number at the end."""
    origin = f"vaultdb-audit/{realm}"
    origin = origin if epoch == 1 else f"{origin}/{epoch}"
    if _ORIGIN.fullmatch(origin) is None:
        raise ConfigurationError(
            f"the realm {realm!r} cannot name an audit log: no spaces, no + and no / in it"
        )
    return origin


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size and root; public.

    Args:
        origin: which log.
        size: number of leaves.
        root: 32 bytes.

    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a checkpoint; lines after the third are extensions and left alone.

        Raises:
            NoteError: it is not one.

        """
        lines = text.split("\n")
        if len(lines) <= _LINES or not lines[0]:
            raise NoteError("not a checkpoint: an origin, a size and a root are expected")
        size = lines[1]
        if not (size.isascii() and size.isdecimal()) or len(size) > _MAX_SIZE_DIGITS:
            raise NoteError("not a checkpoint: its second line is not a size")
        if size != str(int(size)):
            raise NoteError("not a checkpoint: its size has leading zeros")
        return cls(lines[0], int(size), _decoded(lines[2], HASH_SIZE, "its root"))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key that checkpoints are verified with, and the name that it signs under.

    Args:
        name: the origin that it signs for.
        public_key: 32 bytes, Ed25519.

    """

    name: str
    public_key: bytes

    @property
    def hash(self) -> bytes:
        """The 4 bytes that a signature line begins with."""
        said = self.name.encode() + b"\n" + ED25519 + self.public_key
        return hashlib.sha256(said).digest()[:_HASH]

    def __str__(self) -> str:
        """Return the C2SP text form: `name+hash+key`."""
        return f"{self.name}+{self.hash.hex()}+{_b64(ED25519 + self.public_key)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read the text form.

        Raises:
            NoteError: it is not one, or its hash does not fit.

        """
        name, _, rest = text.strip().partition("+")
        stated, _, encoded = rest.partition("+")
        data = _decoded(encoded, 1 + _PUBLIC_KEY_SIZE, "the verifier key")
        key = cls(name, data[1:])
        if data[:1] != ED25519 or stated != key.hash.hex():
            raise NoteError("not an ed25519 verifier key: its hash does not fit")
        return key


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text and the signatures below it, each of a named key.

    Args:
        text: what is signed, with a line feed at its end.
        signatures: name, key hash (4 bytes) and signature of each line.

    """

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    def __str__(self) -> str:
        """Return the note as it is stored and exported."""
        lines = [f"{_DASH}{name} {_b64(key + sig)}\n" for name, key, sig in self.signatures]
        return f"{self.text}\n{''.join(lines)}"

    @classmethod
    def signed(cls, text: str, key: VerifierKey, signature: bytes) -> SignedNote:
        """Put a signature below a text."""
        return cls(text, ((key.name, key.hash, signature),))

    @classmethod
    def parse(cls, note: str) -> SignedNote:
        """Read a note with any number of signatures.

        Raises:
            NoteError: it is not one.

        """
        text, blank, below = note.rpartition("\n\n")
        if not blank or not below.endswith("\n"):
            raise NoteError("not a signed note: no blank line and signatures at its end")
        return cls(text + "\n", tuple(_signature(line) for line in below[:-1].split("\n")))

    def verify(self, *keys: VerifierKey) -> VerifierKey:
        """Return the first of the keys that signed this note.

        Raises:
            NoteError: none of them did, or one's signature is wrong.

        """
        for key in keys:
            for name, stated, signature in self.signatures:
                if (name, stated) == (key.name, key.hash):
                    _verify(key.public_key, signature, self.text)
                    return key
        raise NoteError("the note is not signed by a key that is trusted")


def _verify(public_key: bytes, signature: bytes, text: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, text.encode())
    except InvalidSignature:
        raise NoteError("the signature of the note is wrong") from None


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name:
        raise NoteError("not a signed note: a line after the blank one is no signature")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:  # also what is not ASCII
        raise NoteError("not a signed note: a signature is not base64") from None
    if len(data) <= _HASH:
        raise NoteError("not a signed note: a signature is too short")
    return name, data[:_HASH], data[_HASH:]


def _decoded(text: str, size: int, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if len(data) != size:
        raise NoteError(f"{what} is not base64 of {size} bytes")
    return data


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
