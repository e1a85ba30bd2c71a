"""The tree of the log, computed anew from what is stored."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fixtures.postgres import Database
from vaultdb.audit.chain import Record
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.merkle import Frontier, leaf_hash
from vaultdb.audit.note import Checkpoint, SignedNote, VerifierKey, origin_of


@dataclass
class Tree:
    """What the database says, and what follows from its records."""

    database: Database
    keys: MemoryAuditKeys

    def leaves(self) -> list[tuple[str, int]]:
        """Return chain and seq of each leaf, in order."""
        query = "SELECT chain, seq FROM vaultdb_audit.leaf ORDER BY index"
        with self.database.connect() as connection:
            return [(str(chain), seq) for chain, seq in connection.execute(query)]

    def check(self, *, epoch: int = 1) -> int:
        """Check leaves, root and signature of the newest checkpoint; return its size."""
        query = (
            "SELECT l.index, l.hash, e.chain, e.seq, e.at, e.body, e.mac FROM vaultdb_audit.leaf l"
            " JOIN vaultdb_audit.event e USING (chain, seq) ORDER BY l.index"
        )
        frontier = Frontier()
        following: dict[object, int] = {}
        with self.database.connect() as connection:
            for number, (index, stored, *record) in enumerate(connection.execute(query)):
                assert index == number
                assert stored == leaf_hash(Record(*record))
                assert record[1] == following.get(record[0], 0), "not in the order of its chain"
                following[record[0]] = record[1] + 1
                frontier.add(stored)
            (note,) = connection.execute(
                "SELECT note FROM vaultdb_audit.checkpoint WHERE epoch = %s"
                " ORDER BY size DESC LIMIT 1",
                [epoch],
            ).fetchone() or (None,)
        if note is None:
            assert frontier.size == 0
            return 0
        origin = origin_of(str(self.database.realm), epoch)
        signed = SignedNote.parse(note)
        signed.verify(VerifierKey(origin, self.keys.public_key))
        assert Checkpoint.parse(signed.text) == Checkpoint(origin, frontier.size, frontier.root())
        return frontier.size
