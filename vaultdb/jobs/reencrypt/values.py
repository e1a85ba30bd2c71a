"""Re-encrypting the values of one column in a batch: frames go from key to key as they are.

A frame holds codec version, padding and canary mark, so none of them changes. Only a blind-index
value that is recomputed needs the value itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vaultdb.crypto.blind_index import EQUALITY
from vaultdb.crypto.envelope import MAGIC
from vaultdb.crypto.limits import HEADER_SIZE, INDEX_KEY_ID_SIZE
from vaultdb.crypto.nonce import nonce_tails
from vaultdb.crypto.reason import Reason
from vaultdb.errors import DecryptionError, KeyDenied, ValueRefused
from vaultdb.jobs.reencrypt.statements import STAMP
from vaultdb.keys.index_keys import incoming_index_key, writing_index_key
from vaultdb.orm.companion import index_input

if TYPE_CHECKING:
    from vaultdb.jobs.reencrypt.key_targets import KeyTarget
    from vaultdb.jobs.reencrypt.target import TargetColumn
    from vaultdb.keys.data_key import DataKey
    from vaultdb.keys.keyring import Keyring

NO_KEY = "no active key"
"""The scope of the value's DEK has none that writes."""
DENIED = "key denied"
"""The DEK is disabled, destroyed or refused by Vault."""

Cells = list[bytes | None]


@dataclass(slots=True)
class Recrypted:
    """One column of a batch.

    Args:
        stamps: what each value must still begin with; None where nothing is written.
        values: the new envelopes; None where the value stays.
        companions: for each companion its new values; None where they stay.
        bad: reason codes by row.

    """

    stamps: Cells
    values: Cells
    companions: list[Cells]
    bad: dict[int, str] = field(default_factory=dict)

    @property
    def cells(self) -> list[Cells]:
        """The columns in the order of `Statements.stored`, each stamp before its value."""
        return [self.stamps, self.values, *self.companions]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a batch, as it was read."""

    target: TargetColumn
    values: Sequence[bytes | None]
    companions: Sequence[Sequence[bytes | None]]
    bindings: Sequence[bytes]


class Recrypter:
    """Works on the columns of batches.

    Args:
        keyring: of a role that may unwrap the keys of all tenants that are met.
        tenant: leave the values of others alone; None takes all.

    """

    def __init__(self, keyring: Keyring, tenant: str | None) -> None:
        self._keyring = keyring
        self._tenant = tenant

    def recrypt(self, column: Column, targets: dict[bytes, KeyTarget | None]) -> Recrypted:
        """Compute what is to be stored for one column of a batch.

        Args:
            column: as read; untrusted.
            targets: by key id, for every key id of the column.

        Raises:
            KeyUnavailable: a key cannot be had now.
            KeyMissing: a tenant has no index key that writes.

        """
        size = len(column.values)
        done = Recrypted([None] * size, [None] * size, [[None] * size for _ in column.companions])
        for key_id, rows in _by_key(column.values).items():
            target = targets.get(key_id)
            if target is None:
                done.bad |= {row: _reason_of_unknown(column, row) for row in rows}
            elif self._tenant is None or target.tenant == self._tenant:
                self._group(column, key_id, target, rows, done)
        return done

    def _group(
        self, column: Column, key_id: bytes, target: KeyTarget, rows: list[int], done: Recrypted
    ) -> None:
        encrypted = column.target.encrypted
        if target.keyset != encrypted.type.keyset:
            done.bad |= dict.fromkeys(rows, Reason.SCOPE.value)
            return
        stale = target.newest != key_id
        digests = self._stale_companions(column, target.tenant, rows)
        if not stale:
            rows = sorted({row for wanted, _ in digests for row in wanted})
        if not rows:
            return
        if not target.readable or target.newest is None:
            done.bad |= dict.fromkeys(rows, NO_KEY if target.readable else DENIED)
            return
        try:
            old = self._keyring.get(key_id)
            new = self._keyring.get(target.newest)
        except KeyDenied:
            done.bad |= dict.fromkeys(rows, DENIED)
            return
        rows, frames = _opened(column, old, rows, done)
        if stale:
            _encrypt(column, new, rows, frames, done)
        for number, (wanted, key) in enumerate(digests):
            if wanted:
                _fill(column, number, key, set(wanted), rows, frames, done)

    def _stale_companions(
        self, column: Column, tenant: str, rows: Sequence[int]
    ) -> list[tuple[list[int], DataKey | None]]:
        """Return for each companion the rows whose index value is not by the key that writes it."""
        found: list[tuple[list[int], DataKey | None]] = []
        if not column.companions:
            return found
        keys = self._keyring.index_keys(tenant, column.target.encrypted.type.keyset)
        for (_, second), values in zip(column.target.companions, column.companions, strict=True):
            key = incoming_index_key(keys) if second else writing_index_key(keys)
            prefix = key.key_id[:INDEX_KEY_ID_SIZE]
            wanted = [row for row in rows if (values[row] or b"")[2:10] != prefix]
            found.append((wanted, key))
        return found


def _by_key(values: Sequence[bytes | None]) -> dict[bytes, list[int]]:
    """Return the rows under each key id; NULL is under none."""
    ids = [None if value is None else value[2:HEADER_SIZE] for value in values]
    if len(set(ids)) == 1 and ids[0] is not None:
        return {ids[0]: list(range(len(ids)))}
    found: defaultdict[bytes, list[int]] = defaultdict(list)
    for row, key_id in enumerate(ids):
        if key_id is not None:
            found[key_id].append(row)
    return found


def _opened(
    column: Column, key: DataKey, rows: list[int], done: Recrypted
) -> tuple[list[int], list[bytes]]:
    """Decrypt; returns the rows that opened, and their frames."""
    identity, decrypt = column.target.encrypted.identity, key.decrypt
    values, bindings = column.values, column.bindings
    with suppress(DecryptionError):
        if len(rows) == len(values):
            return rows, key.decrypt_all(identity, values, bindings)  # type: ignore[arg-type]  # no NULL has a key
        some = [values[row] for row in rows]
        return rows, key.decrypt_all(identity, some, [bindings[row] for row in rows])  # type: ignore[arg-type]
    # One by one, to find out which does not.
    good: list[int] = []
    frames: list[bytes] = []
    for row in rows:
        try:
            frames.append(decrypt(identity, values[row], bindings[row]))  # type: ignore[arg-type]
            good.append(row)
        except DecryptionError as error:
            done.bad[row] = str(error.reason)
    return good, frames


def _encrypt(
    column: Column, key: DataKey, rows: Sequence[int], frames: Sequence[bytes], done: Recrypted
) -> None:
    identity = column.target.encrypted.identity
    bindings = column.bindings
    if len(rows) < len(bindings):
        bindings = [bindings[row] for row in rows]
    envelopes = key.encrypt_all(identity, frames, bindings, nonce_tails(len(rows)))
    if len(rows) == len(column.values):
        done.values[:] = envelopes
        done.stamps[:] = [value[:STAMP] for value in column.values]  # type: ignore[index]
        return
    for row, envelope in zip(rows, envelopes, strict=True):
        done.values[row] = envelope
        done.stamps[row] = column.values[row][:STAMP]  # type: ignore[index]


def _fill(  # noqa: PLR0917
    column: Column,
    number: int,
    key: Any,
    wanted: set[int],
    rows: Sequence[int],
    frames: Sequence[bytes],
    done: Recrypted,
) -> None:
    """Compute the blind-index values that are not by the key that writes."""
    encrypted = column.target.encrypted
    decode: Callable[[bytes], Any] = encrypted.type.decode
    for row, frame in zip(rows, frames, strict=True):
        if row not in wanted:
            continue
        try:
            message = index_input(encrypted.type, decode(frame))
            digest = key.index_digest(encrypted.type.index_domain, EQUALITY, message)
        except (DecryptionError, ValueRefused):
            # Neither a value of the type nor one that the index takes: it was searched by nothing.
            done.bad[row] = Reason.PAYLOAD.value
            continue
        done.companions[number][row] = digest
        done.stamps[row] = column.values[row][:STAMP]  # type: ignore[index]


def _reason_of_unknown(column: Column, row: int) -> str:
    value = column.values[row]
    assert value is not None
    if len(value) < STAMP or value[0] != MAGIC:
        return Reason.MALFORMED.value
    return Reason.UNKNOWN_KEY.value
