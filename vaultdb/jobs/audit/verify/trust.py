"""What verification believes: public keys, and checkpoints that were kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from vaultdb.audit.keys import EscrowOpener, WriterKeys
from vaultdb.audit.note import Checkpoint, NoteError, SignedNote, VerifierKey
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.signing import epoch_of
from vaultdb.jobs.audit.sinks.notes import split_notes


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that was verified.

    Args:
        epoch: which tree of the realm.
        size: its leaves.
        root: 32 bytes.

    """

    epoch: int
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Trust:
    """What is believed, whatever the database says.

    Args:
        realm: whose log it is.
        public_keys: that sign checkpoints, Ed25519, 32 bytes each.
        escrow: opens the chains' first keys; None offline.
        writers: certify the processes; None offline.
        kept: checkpoints from outside the database.
        signed: SHA-256 of notes whose signatures were verified: most are exported, and in the
            database too.

    """

    realm: str
    public_keys: tuple[bytes, ...]
    escrow: EscrowOpener | None = None
    writers: WriterKeys | None = None
    kept: tuple[Kept, ...] = field(default=())
    signed: set[bytes] = field(default_factory=set, repr=False, compare=False)

    @property
    def is_offline(self) -> bool:
        """Whether the chains' MACs cannot be checked."""
        return self.escrow is None or self.writers is None

    def keys(self, origin: str) -> list[VerifierKey]:
        """Return the keys that may have signed under an origin."""
        return [VerifierKey(origin, key) for key in self.public_keys]

    def read(self, note: str) -> Kept:
        """Read a signed note.

        Raises:
            NoteError: it is not signed by a key that is trusted, or for another realm.

        """
        signed = SignedNote.parse(note)
        checkpoint = Checkpoint.parse(signed.text)
        epoch = epoch_of(checkpoint.origin, self.realm)
        digest = sha256(note.encode()).digest()
        if digest not in self.signed:
            signed.verify(*self.keys(checkpoint.origin))
            self.signed.add(digest)
        return Kept(epoch, checkpoint.size, checkpoint.root)


def read_keys(path: Path) -> tuple[bytes, ...]:
    """Read a file of verifier keys in the form of C2SP, a line for each.

    Raises:
        ConfigurationError: the file cannot be read, or holds something else.

    """
    lines = [line for line in _text(path).splitlines() if line.strip()]
    try:
        keys = [VerifierKey.parse(line).public_key for line in lines]
    except NoteError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not keys:
        raise ConfigurationError(f"{path} is empty; write it with vaultdb audit keys --export-key")
    return tuple(dict.fromkeys(keys))


def read_checkpoints(paths: Iterable[Path], trust: Trust) -> tuple[Kept, ...]:
    """Read files of signed notes, as the file sink writes them.

    Raises:
        ConfigurationError: a file cannot be read, or holds a note that no trusted key signed.

    """
    found: dict[tuple[int, int], Kept] = {}
    for path in paths:
        notes = split_notes(_text(path))
        if not notes:
            raise ConfigurationError(f"{path} holds no checkpoint: not a signed note in it")
        for number, note in enumerate(notes, 1):
            try:
                kept = trust.read(note)
            except NoteError as error:
                raise ConfigurationError(f"{path}, checkpoint {number:,}: {error}") from None
            before = found.setdefault((kept.epoch, kept.size), kept)
            if before != kept:
                raise ConfigurationError(
                    f"{path}, checkpoint {number:,}: two different logs were signed at size"
                    f" {kept.size:,}: the checkpoint key was used for a forged log"
                )
    return tuple(found.values())


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigurationError(f"cannot read {path}: {reason}") from None
