"""A forward-secure chain of records: each authenticates all before it, then its key is gone.

::

    mac(n) = HMAC-SHA256(k(n), mac(n-1) ‖ chain ‖ u64be seq ‖ u32be len(at) ‖ at ‖ body)
    k(n+1) = SHA-256("vaultdb/audit/evolve/v1" ‖ k(n))         mac(-1) = 32 zero bytes

Who steals the key of a running process cannot rewrite what it recorded before: the keys of those
records no longer exist outside the escrow of k(0), which only the auditor opens.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from struct import Struct
from typing import Final, NoReturn
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vaultdb.crypto.encoding import canon
from vaultdb.errors import AuditUnavailable

KEY_SIZE: Final = 32
MAC_SIZE: Final = 32
NO_MAC: Final = bytes(MAC_SIZE)
"""What stands before the first record of a chain."""

ROW_KEY_DIGEST_SIZE: Final = 16

_EVOLVE: Final = b"vaultdb/audit/evolve/v1"
_ROW_KEYS: Final = b"vaultdb/audit/row-keys/v1"
_SEQ_AND_LENGTH: Final = Struct(">QI")


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a chain, exactly as it is stored.

    Args:
        chain: the chain's id.
        seq: its place in the chain, from 0.
        at: RFC 3339 text, as authenticated.
        body: canonical JSON text, as authenticated.
        mac: 32 bytes; public.

    """

    chain: UUID
    seq: int
    at: str
    body: str
    mac: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands: the seq and key of its next record, the MAC of its last one."""

    seq: int
    mac: bytes
    key: bytes = field(repr=False)


class Chain:
    """The chain of one connection; used by one thread at a time.

    Args:
        first_key: k(0), 32 secret bytes, to verify a chain; None makes a new one.
        chain: its id; None makes a new one.

    """

    __slots__ = ("_head", "_pid", "_row_keys", "id")

    def __init__(self, first_key: bytes, chain: UUID) -> None:
        self.id = chain
        self._head = Head(0, NO_MAC, first_key)
        self._row_keys = row_key_secret(first_key)
        self._pid = os.getpid()

    @classmethod
    def new(cls) -> tuple[Chain, bytes]:
        """Return a new chain, and its first key: to be put in escrow, and then forgotten."""
        first_key = secrets.token_bytes(KEY_SIZE)
        return cls(first_key, uuid4()), first_key

    @property
    def head(self) -> Head:
        """Where the chain stands; `restore` goes back to it, after a transaction failed."""
        return self._head

    def restore(self, head: Head) -> None:
        """Go back to an earlier head, because what was linked since was rolled back."""
        self._head = head

    def link(self, at: str, body: str) -> Record:
        """Authenticate the next record, and forget its key.

        Args:
            at: RFC 3339 text.
            body: canonical JSON text.

        Raises:
            AuditUnavailable: the process is a fork of the one that made the chain.

        """
        if os.getpid() != self._pid:
            raise AuditUnavailable("a chain of the audit log cannot be continued after a fork")
        head = self._head
        mac = record_mac(head.key, head.mac, self.id, head.seq, at=at, body=body)
        self._head = Head(head.seq + 1, mac, evolved(head.key))
        return Record(self.id, head.seq, at, body, mac)

    def row_key_digest(self, table: str, key: bytes) -> str:
        """Return the digest that stands for a row's natural key; see `row_key_digest`."""
        return row_key_digest(self._row_keys, table, key)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a chain of the audit log cannot be pickled")


def record_mac(key: bytes, before: bytes, chain: UUID, seq: int, *, at: str, body: str) -> bytes:
    """Return the MAC of one record.

    Args:
        key: k(seq), 32 secret bytes.
        before: the MAC of the record before it, or 32 zero bytes.
        chain: the chain's id.
        seq: its place in the chain, from 0.
        at: its time, as stored.
        body: its canonical JSON, as stored.

    """
    stamp = at.encode()
    said = before + chain.bytes + _SEQ_AND_LENGTH.pack(seq, len(stamp)) + stamp + body.encode()
    return hmac.digest(key, said, "sha256")


def evolved(key: bytes) -> bytes:
    """Return the key of the next record."""
    return hashlib.sha256(_EVOLVE + key).digest()


def row_key_secret(first_key: bytes) -> bytes:
    """Return the 32 secret bytes that a chain's row keys are digested with."""
    return HKDF(SHA256(), KEY_SIZE, salt=None, info=_ROW_KEYS).derive(first_key)


def row_key_digest(secret: bytes, table: str, key: bytes) -> str:
    """Return `h:` and 32 hex digits, which stand for a natural key in one chain.

    Args:
        secret: of `row_key_secret`.
        table: schema and table, joined by a dot.
        key: the row binding of the row: its key columns, encoded.

    """
    digest = hmac.digest(secret, canon(table.encode(), key), "sha256")
    return "h:" + digest[:ROW_KEY_DIGEST_SIZE].hex()
