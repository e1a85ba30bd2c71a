"""The Merkle tree over all leaves, against every checkpoint, in the database and outside of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from vaultdb.audit.merkle import Frontier
from vaultdb.audit.note import NoteError
from vaultdb.jobs.audit.verify.chains import Said
from vaultdb.jobs.audit.verify.findings import Findings, Problem
from vaultdb.jobs.audit.verify.source import Source
from vaultdb.jobs.audit.verify.trust import Kept, Trust


def check_tree(
    source: Source,
    trust: Trust,
    said: Said,
    findings: Findings,
    advance: Callable[[int], None],
) -> int:
    """Compute the tree anew, compare it with every checkpoint, and return its size.

    Args:
        source: the snapshot.
        trust: what is believed.
        said: what authenticated records say about the log.
        findings: takes the problems.
        advance: told the number of leaves after each batch.

    """
    for index, chain_id, seq in chain.from_iterable(source.leaves_without_event()):
        what = "the record of this leaf is gone"
        findings.add(Problem("missing", what, chain_id, seq, index))
    newest = _newest(source, trust, findings)
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
    if newest is not None and frontier.size > newest.size:
        count = frontier.size - newest.size
        what = f"{count:,} leaves are above the newest checkpoint, and no sequencer adds such"
        findings.add(Problem("tree", what, index=newest.size))
    elif newest is None and frontier.size:
        what = f"there are {frontier.size:,} leaves and no checkpoint that a trusted key signed"
        findings.add(Problem("checkpoint", what))
    _compare_epochs(trust, newest, said, findings)
    return frontier.size


def _newest(source: Source, trust: Trust, findings: Findings) -> Kept | None:
    """Verify the signature of the newest checkpoint: it covers all that is below it."""
    row = source.newest_checkpoint()
    if row is None:
        return None
    epoch, size, note = row
    try:
        kept = trust.read(note)
        if (kept.epoch, kept.size) != (epoch, size):
            raise NoteError("it is not of the size and epoch that its row says")  # noqa: TRY301
    except NoteError as error:
        findings.add(Problem("checkpoint", f"the newest checkpoint, of size {size:,}: {error}"))
        return None
    return kept


class _Comparison:
    """The checkpoints by size, the database's and the kept ones, while the tree grows."""

    def __init__(self, trust: Trust, source: Source, findings: Findings) -> None:
        self._trust = trust
        self._findings = findings
        self._stored = chain.from_iterable(source.checkpoints())
        self._row: Any = next(self._stored, None)
        self._kept: Iterator[Kept] = iter(sorted(trust.kept, key=lambda each: each.size))
        self._outside: Kept | None = next(self._kept, None)
        self._good = 0
        self.next_size = 0

    def at(self, frontier: Frontier) -> None:
        """Compare what was signed at this size."""
        size = frontier.size
        root = frontier.root()
        is_good = True
        while self._row is not None and self._row[1] <= size:
            is_good &= self._compare_stored(size, root)
            self._row = next(self._stored, None)
        while self._outside is not None and self._outside.size <= size:
            if self._outside.root != root:
                is_good = False
                self._differs("exported checkpoint", size)
            self._outside = next(self._kept, None)
        if is_good:
            self._good = size
        stored = None if self._row is None else self._row[1]
        outside = None if self._outside is None else self._outside.size
        self.next_size = min((each for each in (stored, outside) if each is not None), default=-1)

    def finish(self, size: int) -> None:
        """Report checkpoints of the database that are larger than its tree."""
        if self._row is not None:
            what = f"a checkpoint says size {self._row[1]:,}, and the tree has {size:,} leaves"
            self._findings.add(Problem("tree", what, index=size))

    def _compare_stored(self, size: int, root: bytes) -> bool:
        epoch, stated, note = self._row
        try:
            signed = self._trust.root_of(note, epoch, stated)
        except NoteError as error:
            what = f"the checkpoint of size {stated:,} in the database: {error}"
            self._findings.add(Problem("checkpoint", what, index=stated))
            return False
        if stated == size and signed == root:
            return True
        self._differs("checkpoint", stated)
        return False

    def _differs(self, what: str, size: int) -> None:
        between = f"between leaf {self._good:,} and leaf {size:,}"
        self._findings.add(
            Problem("tree", f"the {what} of size {size:,} has another root: {between} the tree is"
                    " not what was signed", index=self._good)
        )  # fmt: skip


def _compare_epochs(trust: Trust, newest: Kept | None, said: Said, findings: Findings) -> None:
    """Report exported checkpoints that are newer than the log, unless an epoch explains them."""
    here = (newest.epoch, newest.size) if newest else (1, 0)
    for kept in trust.kept:
        began = min(
            (size for epoch, size in said.epochs.items() if epoch > kept.epoch), default=None
        )
        if began is not None and kept.epoch < here[0]:
            if kept.size > began:
                lost = kept.size - began
                findings.remarks.append(
                    f"{lost:,} records up to size {kept.size:,} of epoch {kept.epoch} were lost"
                    f" when an older state was restored; epoch {kept.epoch + 1} records that"
                )
        elif (kept.epoch, kept.size) > here:
            what = (
                f"a checkpoint of size {kept.size:,} of epoch {kept.epoch} was exported, and the"
                f" log ends at size {here[1]:,} of epoch {here[0]}"
            )
            findings.add(Problem("rolled-back", what, index=here[1]))
