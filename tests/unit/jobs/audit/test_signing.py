"""What the database says of the tree is believed only as far as it is signed."""

from __future__ import annotations

import pytest

from tests.unit.jobs.audit.notes import REALM, signed_notes
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier
from vaultdb.audit.note import NoteError
from vaultdb.jobs.audit.signing import CheckpointRefused, NoteSigner, believed, epoch_of


class Rotating(MemoryAuditKeys):
    """A signer whose key has changed, and who still knows the one before."""

    def __init__(self, before: MemoryAuditKeys) -> None:
        super().__init__()
        self.before = before
        self.reads = 0

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        return self.before.public_key, self.public_key

    def read(self) -> None:
        self.reads += 1


class Lying(MemoryAuditKeys):
    @property
    def public_key(self) -> bytes:
        return MemoryAuditKeys().public_key


@pytest.mark.parametrize(
    ("origin", "epoch"),
    [(f"vaultdb-audit/{REALM}", 1), (f"vaultdb-audit/{REALM}/2", 2)],
)
def test_an_origin_names_its_epoch(origin: str, epoch: int) -> None:
    assert epoch_of(origin, REALM) == epoch


@pytest.mark.parametrize(
    "origin",
    [
        "vaultdb-audit/other",
        f"vaultdb-audit/{REALM}/0",
        f"vaultdb-audit/{REALM}/1",
        f"vaultdb-audit/{REALM}/02",
        f"vaultdb-audit/{REALM}/x",
        f"else/{REALM}",
        REALM,
    ],
)
def test_another_logs_origin_is_refused(origin: str) -> None:
    with pytest.raises(NoteError):
        epoch_of(origin, REALM)


def test_a_checkpoint_signed_before_a_rotation_is_still_believed() -> None:
    before = MemoryAuditKeys()
    (signed,) = signed_notes(1, keys=before)
    frontier = Frontier()
    frontier.add(bytes(32))
    row = (1, 1, frontier.dump(), signed.note)
    assert believed(row, 1, NoteSigner(REALM, Rotating(before))).newest == signed
    with pytest.raises(CheckpointRefused):
        believed(row, 1, NoteSigner(REALM, MemoryAuditKeys()))


def test_a_signature_that_does_not_fit_the_shown_key_is_not_stored() -> None:
    with pytest.raises(CheckpointRefused, match="does not fit the public key"):
        NoteSigner(REALM, Lying()).sign(1, Frontier())


def test_notes_by_strangers_do_not_cost_a_look_for_newer_keys_each() -> None:
    now, keys = [0.0], Rotating(MemoryAuditKeys())
    signer = NoteSigner(REALM, keys, _clock=lambda: now[0])
    for second in range(25):
        now[0] = second
        with pytest.raises(NoteError):
            signer.read(signed_notes(1)[0].note)
    assert keys.reads == 3
