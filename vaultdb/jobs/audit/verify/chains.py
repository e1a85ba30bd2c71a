"""Every chain, record by record: openings, MACs, gaps, and what the records say of each other."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from vaultdb.audit.chain import NO_MAC, evolved, record_mac
from vaultdb.audit.kinds import CHAIN_CLOSED, CHAIN_HEARTBEAT, CHAIN_OPENED, EPOCH_BEGUN
from vaultdb.audit.kinds import PARTITION_DROPPED as DROPPED
from vaultdb.audit.merkle import hash_of_leaf
from vaultdb.audit.opening import Opening, OpeningError, opening_digest
from vaultdb.jobs.audit.verify.findings import Findings, Problem, event_of
from vaultdb.jobs.audit.verify.source import Source
from vaultdb.jobs.audit.verify.trust import Trust

MAY_ANNOUNCE: Final = frozenset({"sequencer", "auditor"})
"""The Vault roles whose word it is that a month was dropped or an epoch began."""

LONGEST_GAP: Final = 10_000_000
"""Missing records over which a chain's key is carried; a larger number is somebody's invention."""


@dataclass(slots=True)
class Said:
    """What authenticated records say about the log itself.

    Args:
        heads: the longest that each chain was, by heartbeats of others.
        lengths: the last seq that each chain has; -1 without any.
        dropped: the newest month that was announced to be dropped; "" if none.
        epochs: by epoch, at which size it began.
        cuts: months that were dropped, with a chain that lacks its beginning since.

    """

    heads: dict[UUID, int] = field(default_factory=dict)
    lengths: dict[UUID, int] = field(default_factory=dict)
    dropped: str = ""
    epochs: dict[int, int] = field(default_factory=dict)
    cuts: dict[str, UUID] = field(default_factory=dict)
    events: int = 0
    unsequenced: int = 0


class _Chain:
    """One chain while its records come by."""

    __slots__ = ("cut", "is_closed", "key", "mac", "month", "role", "sequenced", "text")

    def __init__(self, row: Any, key: bytes | None) -> None:
        _, self.text, self.sequenced, cut, mac, self.month = row
        self.key = key
        self.mac: bytes | None = NO_MAC if mac is None else mac
        self.cut = -1 if cut is None else cut
        self.role: str | None = None
        self.is_closed = False


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
            walk.record(row)
        advance(len(batch))
    walk.finish()
    said = walk.said
    for chain, head in said.heads.items():
        if said.lengths.get(chain, -1) < head:
            findings.add(
                Problem(
                    "truncated",
                    f"the end of the chain is gone: it had a record {head:,} by the heartbeat of"
                    " its process",
                    chain,
                    said.lengths.get(chain, -1) + 1,
                )
            )
    for month, chain in said.cuts.items():
        if month > said.dropped:
            what = f"the month {month} was dropped, and nobody who may announced it"
            findings.add(Problem("dropped", what, chain))
    return said


class _Walk:
    """Goes along the records, which come by chain and seq."""

    def __init__(self, source: Source, trust: Trust, findings: Findings) -> None:
        self._trust = trust
        self._findings = findings
        self._openings = _openings(source, trust)
        self._id: UUID | None = None
        self._chain: _Chain | None = None
        self._next = 0
        self._ahead: tuple[UUID, _Chain] | None = next(self._openings, None)
        self.said = Said()

    def record(self, row: Any) -> None:
        """Check one record."""
        chain_id, seq, at, body, mac, _index, leaf = row
        if chain_id != self._id:
            self._turn_to(chain_id)
        self.said.events += 1
        chain = self._chain
        if chain is None:
            return
        wrong: str | None = None
        if seq != self._next and not self._skip(chain, chain_id, row):
            return
        if not self._is_authentic(chain, row):
            wrong = "the record is not what its process wrote"
            self._add("changed", wrong, row)
        if leaf is None:
            if seq <= chain.sequenced:
                self._add("leaf", "the record had a leaf in the tree, which is gone", row)
            self.said.unsequenced += 1
        elif hash_of_leaf(chain_id.bytes, seq, at, body, mac) != leaf and wrong is None:
            wrong = "the record is not the one in the tree"
            self._add("changed", wrong, row)
        chain.mac = mac
        self._next = seq + 1
        if chain.is_closed:
            self._add("after-closing", "the chain was closed before this record", row)
        # Canonical JSON: what verification reads of a body has one of these in it.
        if wrong is None and ('"event":"chain.' in body or '"event":"audit.' in body):
            self._read(chain, row)

    def _is_authentic(self, chain: _Chain, row: Any) -> bool:
        """Check the MAC, as far as that can be done, and go on to the next key."""
        if chain.key is None:
            return True
        chain_id, seq, at, body, mac, *_ = row
        key, chain.key = chain.key, evolved(chain.key)
        return chain.mac is None or hmac.compare_digest(
            record_mac(key, chain.mac, chain_id, seq, at=at, body=body), mac
        )

    def finish(self) -> None:
        """Look at the last chain, and at those without records."""
        self._leave()
        while self._ahead is not None:
            self._empty(*self._ahead)
            self._ahead = next(self._openings, None)

    def _turn_to(self, chain_id: UUID) -> None:
        self._leave()
        self._id, self._chain, self._next = chain_id, None, 0
        while self._ahead is not None and self._ahead[0] < chain_id:
            self._empty(*self._ahead)
            self._ahead = next(self._openings, None)
        if self._ahead is None or self._ahead[0] != chain_id:
            what = "the chain has records and no opening: nobody who may write has opened it"
            self._findings.add(Problem("chain-unknown", what, chain_id))
            return
        _, chain = self._ahead
        self._ahead = next(self._openings, None)
        self._begin(chain_id, chain)

    def _begin(self, chain_id: UUID, chain: _Chain) -> None:
        self._chain = chain
        self._next = chain.cut + 1
        self._note_cut(chain_id, chain)
        try:
            opening = Opening.parse(chain.text)
            if self._trust.writers is not None:
                opening.check(chain_id, self._trust.realm, self._trust.writers)
                chain.role = opening.role
        except OpeningError as error:
            self._findings.add(Problem("opening", str(error), chain_id))
            chain.key = None
            return
        if not self._trust.is_offline and chain.key is None:
            what = "the first key of the chain does not open, so its records cannot be checked"
            self._findings.add(Problem("escrow", what, chain_id))
        for _ in range(self._next if chain.key is not None else 0):
            chain.key = evolved(chain.key or b"")

    def _skip(self, chain: _Chain, chain_id: UUID, row: Any) -> bool:
        """Report what is missing before a record; False if the record itself is a double."""
        seq = row[1]
        if seq < self._next:
            self._add("duplicate", "there is another record at this place of the chain", row)
            return False
        count = seq - self._next
        what = "the record is gone" if count == 1 else f"{count:,} records are gone from here on"
        self._findings.add(Problem("missing", what, chain_id, self._next, at=row[2]))
        chain.mac = None  # it is not known, so that this record cannot be checked; the next can
        if count > LONGEST_GAP:
            chain.key = None
        for _ in range(count if chain.key is not None else 0):
            chain.key = evolved(chain.key or b"")
        return True

    def _read(self, chain: _Chain, row: Any) -> None:
        _chain_id, seq, _, body, *_ = row
        try:
            said = json.loads(body)
            event = said["event"]
            if event == CHAIN_OPENED.name:
                if seq != 0 or said["opening"] != opening_digest(chain.text):
                    self._add(
                        "opening", "the opening is not the one that the chain began with", row
                    )
            elif event == CHAIN_CLOSED.name:
                chain.is_closed = True
            elif event == CHAIN_HEARTBEAT.name:
                for head in said["chains"]:
                    other = UUID(hex=head["chain"])
                    self.said.heads[other] = max(self.said.heads.get(other, -1), int(head["seq"]))
            elif chain.role in MAY_ANNOUNCE and chain.key is not None:
                self._announced(event, said)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._add("forged", "the record cannot be read as the event that it says it is", row)

    def _announced(self, event: str, said: Any) -> None:
        if event == DROPPED.name:
            self.said.dropped = max(self.said.dropped, str(said["month"]))
        elif event == EPOCH_BEGUN.name:
            self.said.epochs[int(said["epoch"])] = int(said["size"])

    def _leave(self) -> None:
        if self._id is None:
            return
        self.said.lengths[self._id] = self._next - 1
        if self._chain is not None and self._next <= self._chain.sequenced:
            count = self._chain.sequenced - self._next + 1
            what = f"the last {count:,} records of the chain that had leaves are gone"
            self._findings.add(Problem("truncated", what, self._id, self._next))

    def _empty(self, chain_id: UUID, chain: _Chain) -> None:
        self.said.lengths[chain_id] = chain.cut
        self._note_cut(chain_id, chain)
        if chain.cut < 0:
            what = "the chain was opened and has no record: all of them are gone"
            self._findings.add(Problem("chain-empty", what, chain_id))

    def _note_cut(self, chain_id: UUID, chain: _Chain) -> None:
        if chain.month is not None:
            self.said.cuts.setdefault(chain.month.strftime("%Y-%m"), chain_id)

    def _add(self, kind: str, what: str, row: Any) -> None:
        chain_id, seq, at, body, _, index, _ = row
        self._findings.add(Problem(kind, what, chain_id, seq, index, at, event_of(body)))


def _openings(source: Source, trust: Trust) -> Iterator[tuple[UUID, _Chain]]:
    """Yield the chains by id, their first keys opened a batch at a time."""
    for batch in source.chains():
        sealed = [_sealed(row[1]) for row in batch]
        keys: list[bytes | None] = [None] * len(batch)
        if trust.escrow is not None:
            keys = trust.escrow.open(sealed)
        for row, key in zip(batch, keys, strict=True):
            yield row[0], _Chain(row, key)


def _sealed(text: str) -> str:
    try:
        return Opening.parse(text).escrow
    except OpeningError:
        return ""
