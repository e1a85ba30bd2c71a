"""Checkpoints signed by a transit key, over its rotation."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fixtures.openbao import OpenBao
from vaultdb.audit.keys import CheckpointSigner
from vaultdb.audit.merkle import Frontier
from vaultdb.audit.note import SignedNote
from vaultdb.errors import VaultDenied, VaultRejected
from vaultdb.jobs.audit.signing import NoteSigner
from vaultdb.vault.checkpoint_signer import VaultCheckpointSigner
from vaultdb.vault.factory import new_client


@pytest.fixture
def kek(openbao: OpenBao) -> str:
    """A KEK's name with a checkpoint key beside it."""
    name = f"own-{secrets.token_hex(4)}"
    openbao.admin.write(f"{openbao.transit_mount}/keys/{name}-checkpoint", type="ed25519")
    return name


@pytest.fixture
def signer(openbao: OpenBao, kek: str) -> Iterator[VaultCheckpointSigner]:
    with closing(openbao.client()) as client:
        yield VaultCheckpointSigner(client, mount=openbao.transit_mount, kek=kek)


def test_a_rotated_key_goes_on_signing_and_the_old_one_stays_known(
    openbao: OpenBao, signer: VaultCheckpointSigner, kek: str
) -> None:
    assert isinstance(signer, CheckpointSigner)
    notes = NoteSigner("realm", signer)
    old = notes.sign(1, Frontier())
    openbao.admin.write(f"{openbao.transit_mount}/keys/{kek}-checkpoint/rotate")
    new = notes.sign(1, Frontier())
    second, first = notes.keys(old.checkpoint.origin)
    assert first != second
    assert SignedNote.parse(old.note).verify(first, second) == first
    assert SignedNote.parse(new.note).verify(first, second) == second
    assert notes.read(old.note).checkpoint == notes.read(new.note).checkpoint


def test_a_checkpoint_that_another_sequencer_signed_with_a_newer_key_is_known(
    openbao: OpenBao, signer: VaultCheckpointSigner, kek: str
) -> None:
    first = NoteSigner("realm", signer)
    first.sign(1, Frontier())
    openbao.admin.write(f"{openbao.transit_mount}/keys/{kek}-checkpoint/rotate")
    with closing(openbao.client()) as client:
        second = VaultCheckpointSigner(client, mount=openbao.transit_mount, kek=kek)
        note = NoteSigner("realm", second).sign(1, Frontier()).note
    assert first.read(note).note == note


def test_a_key_of_another_kind_is_refused_with_the_remedy(openbao: OpenBao) -> None:
    name = f"own-{secrets.token_hex(4)}"
    openbao.admin.write(f"{openbao.transit_mount}/keys/{name}-checkpoint", type="ecdsa-p256")
    with closing(openbao.client()) as client:
        signer = VaultCheckpointSigner(client, mount=openbao.transit_mount, kek=name)
        with pytest.raises(VaultRejected, match="vaultdb provision vault"):
            _ = signer.public_key
        with pytest.raises(VaultRejected, match="no ed25519 signature"):
            signer.sign(b"text")


def test_only_the_sequencer_signs_and_only_the_auditor_reads_beside_it(openbao: OpenBao) -> None:
    def signer_of(role: str) -> VaultCheckpointSigner:
        client = new_client(openbao.settings(role))
        return VaultCheckpointSigner(client, mount=openbao.transit_mount, kek=openbao.kek)

    assert signer_of("sequencer").public_key == signer_of("auditor").public_key
    assert len(signer_of("sequencer").sign(b"text")) == 64
    for role in ("app", "auditor", "officer", "rotator"):
        with pytest.raises(VaultDenied):
            signer_of(role).sign(b"text")
    with pytest.raises(VaultDenied):
        _ = signer_of("app").public_key
