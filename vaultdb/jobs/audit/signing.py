"""The state of the log's tree as the database has it, believed only as far as it is signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from vaultdb.audit.keys import CheckpointSigner
from vaultdb.audit.merkle import Frontier
from vaultdb.audit.note import Checkpoint, NoteError, SignedNote, VerifierKey, origin_of
from vaultdb.errors import VaultDBError
from vaultdb.keys.clock import BOOT_TIME, Clock

READ_EVERY = 10.0
"""Seconds between two looks for newer public keys: notes by strangers cost no call each."""
VERIFY = "somebody changed it; run: vaultdb audit verify"


class CheckpointRefused(VaultDBError):
    """The log is not what was signed before, so nothing more is signed on top of it."""


@runtime_checkable
class KeepsOldKeys(Protocol):
    """A signer whose key was rotated, and who knows the public keys of before."""

    @property
    def public_keys(self) -> Sequence[bytes]:
        """The public keys of all versions, 32 bytes each, as read before."""
        ...

    def read(self) -> object:
        """Read them again."""
        ...


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint whose signature was verified.

    Args:
        epoch: which tree of the realm, from 1.
        checkpoint: its size and root.
        note: the signed note.

    """

    epoch: int
    checkpoint: Checkpoint
    note: str

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands among all checkpoints of the realm: epoch and size."""
        return self.epoch, self.checkpoint.size

    def __str__(self) -> str:
        return f"size {self.checkpoint.size:,} of epoch {self.epoch}"


class NoteSigner:
    """Signs the checkpoints of one realm, and verifies those that it finds.

    Args:
        realm: whose log it is.
        signer: has the key.

    """

    def __init__(self, realm: str, signer: CheckpointSigner, *, _clock: Clock = BOOT_TIME) -> None:
        self.realm = realm
        self._signer = signer
        self._clock = _clock
        self._read_at: float | None = None

    def keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """Return the keys that may have signed under this origin, newest first."""
        signer = self._signer
        known = signer.public_keys if isinstance(signer, KeepsOldKeys) else [signer.public_key]
        return tuple(VerifierKey(origin, key) for key in reversed(known))

    def sign(self, epoch: int, frontier: Frontier) -> Signed:
        """Sign the tree as it is.

        Raises:
            VaultError: Vault does not answer, or the role may not.
            CheckpointRefused: Vault's signature does not fit the key that it shows.

        """
        origin = origin_of(self.realm, epoch)
        checkpoint = Checkpoint(origin, frontier.size, frontier.root())
        text = checkpoint.text()
        signature = self._signer.sign(text.encode())
        key = VerifierKey(origin, self._signer.public_key)  # known after it has signed
        note = SignedNote.signed(text, key, signature)
        try:
            note.verify(key)
        except NoteError:
            raise CheckpointRefused(
                "the signature of the checkpoint does not fit the public key; look at the"
                " checkpoint key in vault"
            ) from None
        return Signed(epoch, checkpoint, str(note))

    def read(self, text: str) -> Signed:
        """Read a note that one of the signer's keys signed for this realm.

        Raises:
            NoteError: it is not one.

        """
        note = SignedNote.parse(text)
        checkpoint = Checkpoint.parse(note.text)
        epoch = epoch_of(checkpoint.origin, self.realm)
        try:
            note.verify(*self.keys(checkpoint.origin))
        except NoteError:
            if not self._reads_again():
                raise
            note.verify(*self.keys(checkpoint.origin))
        return Signed(epoch, checkpoint, text)

    def _reads_again(self) -> bool:
        """Read the keys again: another sequencer may have signed with a newer one."""
        now = self._clock()
        if self._read_at is not None and now < self._read_at + READ_EVERY:
            return False
        self._read_at = now
        if isinstance(self._signer, KeepsOldKeys):
            self._signer.read()
        return True


@dataclass(slots=True)
class LogState:
    """The tree up to the newest checkpoint in the database.

    Args:
        epoch: which tree of the realm.
        frontier: the right edge of the tree; grows while a batch is added.
        newest: the newest checkpoint; None in a new log.

    """

    epoch: int
    frontier: Frontier
    newest: Signed | None

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self.frontier.size

    @property
    def place(self) -> tuple[int, int]:
        """Epoch and size of the newest checkpoint."""
        return self.epoch, self.newest.checkpoint.size if self.newest else 0


def believed(row: tuple[int, int, bytes, str] | None, leaves: int, signer: NoteSigner) -> LogState:
    """Return the state that a row of the table `checkpoint` describes.

    Args:
        row: epoch, size, frontier and note of the newest one; None without any.
        leaves: how many leaves there are, by the highest index.
        signer: verifies it.

    Raises:
        CheckpointRefused: the row is not what was signed, or leaves were added or taken away.

    """
    state = LogState(1, Frontier(), None) if row is None else _state_of(row, signer)
    if leaves != state.size:
        raise CheckpointRefused(
            f"the audit log has {leaves:,} leaves, and its newest checkpoint says"
            f" {state.size:,}: {VERIFY}"
        )
    return state


def epoch_of(origin: str, realm: str) -> int:
    """Return which tree of a realm an origin names.

    Raises:
        NoteError: it names the log of another realm.

    """
    base, _, number = origin.removeprefix("vaultdb-audit/").partition("/")
    epoch = int(number) if number.isascii() and number.isdecimal() else 1
    if base != realm or epoch < 1 or origin != origin_of(realm, epoch):
        raise NoteError(f"the checkpoint belongs to the log {origin!r}, not to this realm's")
    return epoch


def _state_of(row: tuple[int, int, bytes, str], signer: NoteSigner) -> LogState:
    epoch, size, dumped, note = row
    try:
        signed = signer.read(note)
        frontier = Frontier.load(size, bytes(dumped))
    except ValueError as error:
        raise CheckpointRefused(
            f"the newest checkpoint in the database is no good ({error}): {VERIFY}"
        ) from None
    if signed.place != (epoch, size) or signed.checkpoint.root != frontier.root():
        raise CheckpointRefused(
            f"the newest checkpoint in the database does not fit its own signature: {VERIFY}"
        )
    return LogState(epoch, frontier, signed)
