"""The Merkle tree over all leaves, against every checkpoint, in the database and outside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from vaultdb.audit.merkle import Frontier
from vaultdb.audit.note import NoteError
from vaultdb.jobs.audit.verify.findings import Findings, Problem
from vaultdb.jobs.audit.verify.source import Source
from vaultdb.jobs.audit.verify.trust import Kept, Trust


def check_tree(
    source: Source, trust: Trust, findings: Findings, advance: Callable[[int], None]
) -> int:
    """Compute the tree anew, compare it with every checkpoint, and return its size.

    Args:
        source: the snapshot.
        trust: what is believed.
        findings: takes the problems.
        advance: told the number of leaves after each batch.

    """
    for index, chain_id, seq in chain.from_iterable(source.leaves_without_event()):
        what = "the record of this leaf is gone"
        findings.add(Problem("missing", what, chain_id, seq, index))
    comparison = _Comparison(trust, source, findings)
    frontier = Frontier()
    comparison.at(frontier)
    for batch in source.leaves():
        for index, leaf in batch:
            if index != frontier.size:
                what = f"the tree has no leaf {frontier.size:,}"
                findings.add(Problem("tree", what, index=frontier.size))
                return frontier.size
            frontier.add(leaf)
            if frontier.size == comparison.next_size:
                comparison.at(frontier)
        advance(len(batch))
    comparison.finish(frontier.size)
    return frontier.size


class _Comparison:
    """The checkpoints by size, the database's and the kept ones, while the tree grows."""

    def __init__(self, trust: Trust, source: Source, findings: Findings) -> None:
        self._trust = trust
        self._findings = findings
        self._stored = chain.from_iterable(source.checkpoints())
        self._row: Any = next(self._stored, None)
        began = _beginnings(source, trust)
        self._kept = _still_there(trust.kept, began, findings)
        self._outside: Iterator[Kept] = iter(sorted(self._kept, key=lambda each: each.size))
        self._next: Kept | None = next(self._outside, None)
        self._good = 0
        self._newest: Kept | None = None
        self.next_size = 0

    def at(self, frontier: Frontier) -> None:
        """Compare what was signed at this size."""
        size, root = frontier.size, frontier.root()
        is_good = True
        while self._row is not None and self._row[1] <= size:
            is_good &= self._compare_stored(size, root)
            self._row = next(self._stored, None)
        while self._next is not None and self._next.size <= size:
            if self._next.root != root:
                is_good = False
                self._differs("exported checkpoint", size)
            self._next = next(self._outside, None)
        if is_good:
            self._good = size
        stored = None if self._row is None else self._row[1]
        outside = None if self._next is None else self._next.size
        self.next_size = min((each for each in (stored, outside) if each is not None), default=-1)

    def finish(self, size: int) -> None:
        """Report checkpoints that are larger than the tree, and leaves above all of them."""
        if self._row is not None:
            what = f"a checkpoint says size {self._row[1]:,}, and the tree has {size:,} leaves"
            self._findings.add(Problem("tree", what, index=size))
        newest = self._newest
        if newest is None and size:
            what = f"there are {size:,} leaves and no checkpoint that a trusted key signed"
            self._findings.add(Problem("checkpoint", what))
        elif newest is not None and size > newest.size:
            count = size - newest.size
            what = f"{count:,} leaves are above the newest checkpoint, and no sequencer adds such"
            self._findings.add(Problem("tree", what, index=newest.size))
        epoch, there = (newest.epoch, newest.size) if newest else (1, 0)
        for kept in self._kept:
            if (kept.epoch, kept.size) > (epoch, there):
                what = (
                    f"a checkpoint of size {kept.size:,} of epoch {kept.epoch} was exported, and"
                    f" the log ends at size {there:,} of epoch {epoch}"
                )
                self._findings.add(Problem("rolled-back", what, index=there))

    def _compare_stored(self, size: int, root: bytes) -> bool:
        epoch, stated, note = self._row
        try:
            signed = _read(self._trust, epoch, stated, note)
        except NoteError as error:
            what = f"the checkpoint of size {stated:,} in the database: {error}"
            self._findings.add(Problem("checkpoint", what, index=stated))
            return False
        if self._newest is None or (epoch, stated) > (self._newest.epoch, self._newest.size):
            self._newest = signed
        if stated == size and signed.root == root:
            return True
        self._differs("checkpoint", stated)
        return False

    def _differs(self, what: str, size: int) -> None:
        between = f"between leaf {self._good:,} and leaf {size:,}"
        self._findings.add(
            Problem("tree", f"the {what} of size {size:,} has another root: {between} the tree is"
                    " not what was signed", index=self._good)
        )  # fmt: skip


def _read(trust: Trust, epoch: int, size: int, note: str) -> Kept:
    """Read a checkpoint of the database.

    Raises:
        NoteError: no trusted key signed it, or it is for another place than its row says.

    """
    kept = trust.read(note)
    if (kept.epoch, kept.size) != (epoch, size):
        raise NoteError("it is not of the size and epoch that its row says")
    return kept


def _beginnings(source: Source, trust: Trust) -> dict[int, int]:
    """Return at which size each epoch begins, by its first checkpoint; forged ones left out."""
    found: dict[int, int] = {}
    for epoch, size, note in chain.from_iterable(source.epochs()):
        try:
            found[epoch] = _read(trust, epoch, size, note).size
        except NoteError:
            continue
    return found


def _still_there(
    kept: tuple[Kept, ...], began: dict[int, int], findings: Findings
) -> tuple[Kept, ...]:
    """Return the exported checkpoints that are of this tree, and tell of those that are not.

    What was signed after the state that a later epoch began from was lost with a restore.
    """
    there: list[Kept] = []
    lost: dict[int, int] = {}
    for each in kept:
        until = min((size for epoch, size in began.items() if epoch > each.epoch), default=None)
        if until is not None and each.size > until:
            lost[each.epoch] = max(lost.get(each.epoch, 0), each.size - until)
        else:
            there.append(each)
    for epoch, count in sorted(lost.items()):
        findings.remarks.append(
            f"{count:,} records of epoch {epoch} were signed and exported, and lost when an older"
            " state was restored and a new epoch begun"
        )
    return tuple(there)
