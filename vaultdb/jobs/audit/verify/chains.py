"""Every chain, record by record: openings, MACs, gaps, leaves, and what comes after the end."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import chain as flattened
from typing import Any
from uuid import UUID

from vaultdb.audit.opening import OpeningError
from vaultdb.jobs.audit.verify.agreement import following
from vaultdb.jobs.audit.verify.chain_state import ChainState, each_chain
from vaultdb.jobs.audit.verify.clocks import Clocks
from vaultdb.jobs.audit.verify.findings import Findings, Problem, event_of
from vaultdb.jobs.audit.verify.said import Said, is_about_the_log
from vaultdb.jobs.audit.verify.source import Source, in_advance
from vaultdb.jobs.audit.verify.trust import Trust

_GARBAGE = (TypeError, ValueError, struct.error)
"""What hashing raises for values that no writer could have stored: tables were rebuilt."""


def check_chains(
    source: Source, trust: Trust, findings: Findings, advance: Callable[[int], None]
) -> Said:
    """Check every chain, and return what its records say about the log.

    Args:
        source: the snapshot.
        trust: what is believed.
        findings: takes the problems.
        advance: told the number of records after each batch.

    """
    walk = _Walk(source, trust, findings)
    for batch in source.events():
        for row in batch:
            try:
                walk.record(row)
            except _GARBAGE:
                walk.add("changed", "the row is no record at all", row)
        advance(len(batch))
    walk.finish()
    return walk.said


class _Walk:
    """Goes along the records, which come by chain and seq."""

    def __init__(self, source: Source, trust: Trust, findings: Findings) -> None:
        self._trust = trust
        self._findings = findings
        self._chains = flattened.from_iterable(in_advance(each_chain(source, trust)))
        self._id: bytes | None = None
        self._chain: ChainState | None = None
        self._ahead: ChainState | None = next(self._chains, None)
        self._clocks = Clocks()
        self.said = Said()

    def record(self, row: Any) -> None:
        """Check one record."""
        chain_id, seq, at, body, mac, _, leaf, stored = row
        if chain_id != self._id:
            self._turn_to(chain_id, row)
        self.said.events += 1
        chain = self._chain
        if chain is None:
            self.said.lengths[UUID(bytes=chain_id)] = seq
            return
        if seq != chain.next and not self._skip(chain, row):
            return
        chain.next = seq + 1
        wrong = not chain.is_authentic(seq, at, body, mac)
        if wrong:
            self.add("changed", "the record is not what its process wrote", row)
        if leaf is None:
            self._without_leaf(chain, row)
        elif not wrong and chain.hashes.leaf(seq, at, body, mac) != leaf:
            wrong = True
            self.add("changed", "the record is not the one in the tree", row)
        if chain.is_closed:
            self.add("after-closing", "the chain was closed before this record", row)
        self._clocks.look(chain.id, seq, at, stored)
        if not wrong and (seq == 0 or is_about_the_log(body)):
            self._read(chain, row)

    def finish(self) -> None:
        """Look at the last chain, and at those without records."""
        self._leave()
        while self._ahead is not None:
            self._empty(self._ahead)
            self._ahead = next(self._chains, None)
        remark = self._clocks.remark()
        if remark is not None:
            self._findings.remarks.append(remark)

    def add(self, kind: str, what: str, row: Any) -> None:
        """Note a problem with a record."""
        chain_id, seq, at, body, _, index, *_ = row
        self._findings.add(
            Problem(kind, what, _uuid(chain_id), seq, index, _text(at), event_of(_text(body)))
        )

    def _turn_to(self, chain_id: bytes, row: Any) -> None:
        self._leave()
        self._id, self._chain = chain_id, None
        while self._ahead is not None and self._ahead.id.bytes < chain_id:
            self._empty(self._ahead)
            self._ahead = next(self._chains, None)
        if self._ahead is None or self._ahead.id.bytes != chain_id:
            what = "the chain has records and no opening: nobody who may write has opened it"
            self.add("chain-unknown", what, row)
            return
        self._chain = self._ahead
        self._ahead = next(self._chains, None)
        self._begin(self._chain)

    def _begin(self, chain: ChainState) -> None:
        try:
            opening = chain.check_opening(self._trust)
        except OpeningError as error:
            self._findings.add(Problem("opening", str(error), chain.id))
            return
        self.said.writers[chain.id] = chain.writer
        if chain.month is not None and opening.at > f"{following(chain.month)}-02":
            what = f"the chain was opened after the month {chain.month} that it was cut with"
            self._findings.add(Problem("dropped", what, chain.id, at=opening.at))
        if not self._trust.is_offline and not chain.is_checked:
            what = "the first key of the chain does not open, so its records cannot be checked"
            self._findings.add(Problem("escrow", what, chain.id, at=opening.at))

    def _skip(self, chain: ChainState, row: Any) -> bool:
        """Report what is missing before a record; False if the record itself is a double."""
        seq = row[1]
        if seq < chain.next:
            self.add("duplicate", "there is another record at this place of the chain", row)
            return False
        count = seq - chain.next
        what = "the record is gone" if count == 1 else f"{count:,} records are gone from here on"
        self._findings.add(Problem("missing", what, chain.id, chain.next, at=_text(row[2])))
        chain.skip(count)
        return True

    def _without_leaf(self, chain: ChainState, row: Any) -> None:
        self.said.unsequenced += 1
        if row[1] <= chain.sequenced:
            self.add("leaf", "the record had a leaf in the tree, which is gone", row)
        elif chain.is_done:
            self.add("leaf", "the chain is marked as done, so no sequencer looks at this", row)
        elif chain.waits_since is None:
            chain.waits_since = row[2]

    def _read(self, chain: ChainState, row: Any) -> None:
        seq, body = row[1], row[3]
        if seq == 0 and b'"event":"chain.opened"' not in body:
            self.add("opening", "the chain does not begin with its opening", row)
            return
        wrong = self.said.read(chain, seq, body)
        if wrong is not None:
            self.add("opening" if seq == 0 else "forged", wrong, row)

    def _leave(self) -> None:
        chain = self._chain
        if chain is None:
            return
        self.said.lengths[chain.id] = chain.next - 1
        if chain.next <= chain.sequenced:
            count = chain.sequenced - chain.next + 1
            what = f"the last {count:,} records of the chain that had leaves are gone"
            self._findings.add(Problem("truncated", what, chain.id, chain.next))
        if chain.waits_since is not None:
            self.said.waiting[chain.id] = _text(chain.waits_since)

    def _empty(self, chain: ChainState) -> None:
        self._begin(chain)
        self.said.lengths[chain.id] = chain.cut
        if chain.cut < 0:
            what = "the chain was opened and has no record: all of them are gone"
            self._findings.add(Problem("chain-empty", what, chain.id))


def _uuid(chain_id: object) -> UUID | None:
    try:
        return UUID(bytes=chain_id)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _text(said: object) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else ""
