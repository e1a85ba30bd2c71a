"""Encrypting and comparing values outside of a statement, each for its own row's tenant."""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vaultdb.crypto.blind_index import EQUALITY
from vaultdb.crypto.envelope import key_id_of
from vaultdb.crypto.nonce import nonce_tails
from vaultdb.crypto.reason import Reason
from vaultdb.errors import DecryptionError, ValueRefused
from vaultdb.jobs.adopt.foreign.failure import Unreadable
from vaultdb.keys.index_keys import incoming_index_key, writing_index_key
from vaultdb.keys.wrapped_key import KeyScope, Purpose
from vaultdb.orm.companion import index_input

if TYPE_CHECKING:
    from vaultdb.jobs.adopt.adoption import Adoption
    from vaultdb.jobs.adopt.reading import OldRow
    from vaultdb.keys.keyring import Keyring

REFUSED = "refused by the column"
DIFFERS = "the ciphertext is of another value"
INDEX_DIFFERS = "the blind index is of another value"
MISSING = "not encrypted yet"


@dataclass(frozen=True, slots=True)
class Encrypted:
    """What is stored for one row.

    Args:
        row: that it was made for.
        envelope: the ciphertext.
        digests: for each companion of the column; public.

    """

    row: OldRow
    envelope: bytes
    digests: tuple[bytes, ...]


class ColumnKeys:
    """The keys of one column.

    Args:
        adoption: the column.
        keyring: of a role that may unwrap data keys.

    """

    def __init__(self, adoption: Adoption, keyring: Keyring) -> None:
        self._column = adoption.column
        self._type = adoption.column.type
        self._companions = adoption.column.companions
        self._keyring = keyring

    def encrypt(self, rows: Sequence[OldRow]) -> tuple[list[Encrypted], dict[OldRow, str]]:
        """Encrypt the values of rows; return what is to be stored, and why others cannot be.

        Raises:
            KeyMissing, KeyDenied, KeyUnavailable: there is no key to encrypt with.

        """
        groups: dict[tuple[str, str], list[tuple[OldRow, bytes]]] = defaultdict(list)
        refused: dict[OldRow, str] = {}
        for row in rows:
            frame = self._frame(row.value)
            if isinstance(frame, str):
                refused[row] = frame
            else:
                groups[row.tenant, row.subject].append((row, frame))
        self._load(groups)
        made = [each for owner, group in groups.items() for each in self._encrypt(owner, group)]
        return made, refused

    def compare(self, rows: Sequence[OldRow]) -> dict[OldRow, str]:
        """Return the rows whose ciphertext is not of the old column's value, and in which way.

        Raises:
            KeyDenied, KeyUnavailable: a key cannot be had, which says nothing about the value.

        """
        envelopes = [row.envelope for row in rows if row.envelope is not None]
        self._keyring.load_ids({key_id_of(each) for each in envelopes if _has_key_id(each)})
        self._load({(row.tenant, row.subject) for row in rows})
        found = {row: self._difference(row) for row in rows}
        return {row: reason for row, reason in found.items() if reason}

    def decrypt(self, rows: Sequence[OldRow]) -> list[Any]:
        """Return the values of rows that have a ciphertext, or the `DecryptionError`; secret."""
        envelopes = [row.envelope for row in rows if row.envelope is not None]
        self._keyring.load_ids({key_id_of(each) for each in envelopes if _has_key_id(each)})
        return [self._decrypted(row) for row in rows if row.envelope is not None]

    def _frame(self, value: Any) -> bytes | str:
        """Return the value's frame, or why there is none."""
        if isinstance(value, Unreadable):
            return value.reason
        try:
            for _ in self._companions[:1]:
                index_input(self._type, value)
            return self._type.encode(value)
        except ValueRefused:
            return REFUSED

    def _encrypt(
        self, owner: tuple[str, str], group: Sequence[tuple[OldRow, bytes]]
    ) -> Iterable[Encrypted]:
        rows = [row for row, _ in group]
        frames = [frame for _, frame in group]
        dek = self._active(*owner)
        bound = [row.binding for row in rows]
        tails = nonce_tails(len(rows))
        envelopes = dek.encrypt_all(self._column.identity, frames, bound, tails)
        for row, envelope in zip(rows, envelopes, strict=True):
            yield Encrypted(row, envelope, self._digests(owner[0], row.value))

    def _digests(self, tenant: str, value: Any) -> tuple[bytes, ...]:
        if not self._companions:
            return ()
        keys = self._keyring.index_keys(tenant, self._type.keyset)
        writing = (writing_index_key(keys), incoming_index_key(keys))[: len(self._companions)]
        message = index_input(self._type, value)
        return tuple(
            key.index_digest(self._type.index_domain, EQUALITY, message) for key in writing
        )

    def _difference(self, row: OldRow) -> str:
        if row.envelope is None:
            return MISSING
        if isinstance(row.value, Unreadable):
            return row.value.reason
        plain = self._decrypted(row)
        frame = self._frame(row.value)
        if isinstance(plain, DecryptionError):
            return f"the ciphertext does not decrypt: {plain.reason}"
        if isinstance(frame, str) or not hmac.compare_digest(frame, self._type.encode(plain)):
            return DIFFERS
        return "" if self._is_indexed(row) else INDEX_DIFFERS

    def _decrypted(self, row: OldRow) -> Any:
        envelope = row.envelope
        assert envelope is not None
        try:
            key = self._keyring.get(key_id_of(envelope))
            if key.scope.tenant != row.tenant:
                return DecryptionError(Reason.SCOPE)
            frame = key.decrypt(self._column.identity, envelope, row.binding)
            return self._type.decode(frame)
        except DecryptionError as error:
            return error

    def _is_indexed(self, row: OldRow) -> bool:
        if not self._companions:
            return True
        message = index_input(self._type, row.value)
        keys = self._keyring.index_keys(row.tenant, self._type.keyset)
        known = {key.index_digest(self._type.index_domain, EQUALITY, message) for key in keys}
        # The second one may still wait for its key: re-encryption fills it.
        return row.digests[0] in known and {*row.digests[1:]} <= {*known, None}

    def _load(self, owners: Iterable[tuple[str, str]]) -> None:
        scopes = [
            KeyScope(tenant, self._type.keyset, Purpose.DATA, subject) for tenant, subject in owners
        ]
        if self._companions:
            tenants = dict.fromkeys(scope.tenant for scope in scopes)
            scopes += [KeyScope(each, self._type.keyset, Purpose.INDEX) for each in tenants]
        self._keyring.load(scopes)

    def _active(self, tenant: str, subject: str) -> Any:
        return self._keyring.active(tenant, self._type.keyset, subject=subject)


def _has_key_id(envelope: bytes) -> bool:
    try:
        key_id_of(envelope)
    except DecryptionError:
        return False
    return True
