"""What verification believes: keys and checkpoints from outside the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier
from vaultdb.audit.note import NoteError, SignedNote, VerifierKey, origin_of
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.jobs.audit.verify.trust import Kept, Trust, read_checkpoints, read_keys

KEYS = MemoryAuditKeys()


def notes(count: int, *, epoch: int = 1, keys: MemoryAuditKeys = KEYS, seed: int = 0) -> list[str]:
    signer, frontier, made = NoteSigner("realm", keys), Frontier(), []
    for number in range(count):
        frontier.add(bytes([seed + number]) * 32)
        made.append(signer.sign(epoch, frontier).note)
    return made


def trust() -> Trust:
    return Trust("realm", (KEYS.public_key,))


def test_notes_are_read_from_several_files_and_a_half_written_one_is_left_out(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    one, two, three = notes(3)
    first.write_text(one + two + three[:-40])
    second.write_text(two + notes(1, epoch=2)[0])
    found = read_checkpoints([first, second], trust())
    assert [(kept.epoch, kept.size) for kept in found] == [(1, 1), (1, 2), (2, 1)]
    assert all(isinstance(kept, Kept) and len(kept.root) == 32 for kept in found)


def test_two_logs_that_the_same_key_signed_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text(notes(1)[0] + notes(1, seed=7)[0])
    with pytest.raises(ConfigurationError, match="two different logs were signed at size 1"):
        read_checkpoints([path], trust())


@pytest.mark.parametrize("keys", [KEYS, MemoryAuditKeys()], ids=["other realm", "other key"])
def test_a_checkpoint_of_another_realm_or_key_is_refused(
    tmp_path: Path, keys: MemoryAuditKeys
) -> None:
    path = tmp_path / "notes"
    path.write_text(notes(1, keys=keys)[0])
    believed = Trust("another" if keys is KEYS else "realm", (KEYS.public_key,))
    with pytest.raises(ConfigurationError, match="checkpoint 1: "):
        read_checkpoints([path], believed)


def test_a_signature_is_verified_once_and_another_one_under_the_same_text_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    believed, (note,) = trust(), notes(1)
    verified: list[str] = []
    verify = SignedNote.verify

    def counting(self: SignedNote, *keys: VerifierKey) -> VerifierKey:
        verified.append(self.text)
        return verify(self, *keys)

    monkeypatch.setattr(SignedNote, "verify", counting)
    assert believed.read(note) == believed.read(note)
    assert len(verified) == 1
    key = VerifierKey(origin_of("realm"), KEYS.public_key)
    forged = SignedNote.signed(SignedNote.parse(note).text, key, bytes(64))
    for _ in range(2):
        with pytest.raises(NoteError, match="signature of the note is wrong"):
            believed.read(str(forged))


def test_a_file_of_keys_has_one_for_each_version(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    both = KEYS.public_key, MemoryAuditKeys().public_key
    path.write_text("".join(f"{VerifierKey(origin_of('realm'), key)}\n" for key in both))
    assert read_keys(path) == both
