"""Signed notes of a small log."""

from __future__ import annotations

from vaultdb.audit.chain import Record
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier
from vaultdb.jobs.audit.signing import NoteSigner, Signed

REALM = "6f1d2c3b-0000-4000-8000-7e57da7aba5e"


def signed_notes(
    count: int, *, epoch: int = 1, keys: MemoryAuditKeys | None = None
) -> list[Signed]:
    """Return the checkpoints of a log that grows by one leaf each."""
    signer, frontier, notes = NoteSigner(REALM, keys or MemoryAuditKeys()), Frontier(), []
    for number in range(count):
        frontier.add(number.to_bytes(32))
        notes.append(signer.sign(epoch, frontier))
    return notes


def record(seq: int = 0) -> Record:
    from uuid import UUID

    return Record(UUID(int=7), seq, "2026-03-01T12:00:00.000000Z", '{"a":"\\u00fc"}', bytes(32))
