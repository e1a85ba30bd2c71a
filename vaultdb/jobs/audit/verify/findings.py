"""What verification finds wrong, and the first of it."""

from __future__ import annotations

import json
from bisect import insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from uuid import UUID

MAX_SHOWN: Final = 25
"""Problems of each kind that are kept, so that many of one kind hide no other; all are counted."""

_LAST: Final = 2**63


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the log.

    Args:
        kind: one of `REMEDIES`.
        what: what is wrong, in a sentence.
        chain: the chain that it is about, if it is about one.
        seq: the record's place in its chain.
        index: the index of the record's leaf in the tree.
        at: the time that the record states.
        event: the record's event, such as `data.read`.

    """

    kind: str
    what: str
    chain: UUID | None = None
    seq: int | None = None
    index: int | None = None
    at: str | None = None
    event: str | None = None

    @property
    def place(self) -> tuple[int, str, str, int]:
        """Sort by place in the tree, then by time: the first of them is where it began."""
        if self.kind == "unsigned":  # it follows from others, if there are any
            return _LAST + 1, "", "", 0
        index = _LAST if self.index is None else self.index
        return index, self.at or "~", str(self.chain or ""), self.seq or 0

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.kind]

    def __str__(self) -> str:
        parts = []
        if self.chain is not None:
            parts.append(f"chain {self.chain}")
        if self.seq is not None:
            parts.append(f"seq {self.seq:,}")
        if self.event is not None:
            parts.append(self.event)
        if self.at is not None:
            parts.append(self.at)
        where = ", ".join(parts)
        return f"{where}: {self.what}" if where else self.what


_ALTERED = (
    "somebody changed the log past vaultdb: keep the database as it is, and compare with the"
    " exported copies of the log"
)
_SETTINGS = "compare realm, kek and transit_mount with those of the writers"

REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "changed": _ALTERED,
        "forged": _ALTERED,
        "missing": _ALTERED,
        "truncated": _ALTERED,
        "duplicate": _ALTERED,
        "after-closing": _ALTERED,
        "chain-unknown": _ALTERED,
        "chain-empty": _ALTERED,
        "opening": f"{_ALTERED}; if this is every chain, {_SETTINGS}",
        "escrow": f"{_ALTERED}; if this is every chain, {_SETTINGS}",
        "leaf": _ALTERED,
        "tree": _ALTERED,
        "checkpoint": f"{_ALTERED}; if this is every checkpoint, {_SETTINGS}",
        "unsigned": "no sequencer is at work: start vaultdb audit checkpoint, and verify again",
        "rolled-back": (
            "the log is older than what was exported: if a backup was restored, record that with"
            " vaultdb audit checkpoint --new-epoch, else treat it as an attack"
        ),
        "dropped": f"a month was dropped without vaultdb audit drop-before: {_ALTERED}",
    }
)
"""Kinds of problems, and what to do about each."""


@dataclass(slots=True)
class Findings:
    """Problems, of each kind the first ones by their place in the log, and remarks."""

    counts: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    _kept: dict[str, list[Problem]] = field(default_factory=dict)

    def add(self, problem: Problem) -> None:
        """Note a problem; the last ones of its kind make room when there are many."""
        self.counts[problem.kind] += 1
        kept = self._kept.setdefault(problem.kind, [])
        insort(kept, problem, key=_place)
        del kept[MAX_SHOWN:]

    @property
    def problems(self) -> list[Problem]:
        """The problems that are kept, by their place in the log."""
        return sorted((each for kept in self._kept.values() for each in kept), key=_place)

    @property
    def first(self) -> Problem | None:
        """The first problem by its place in the log."""
        return min((kept[0] for kept in self._kept.values()), key=_place, default=None)

    @property
    def total(self) -> int:
        """How many problems there are, also those that are not kept."""
        return self.counts.total()


def _place(problem: Problem) -> tuple[int, str, str, int]:
    return problem.place


def event_of(body: str) -> str | None:
    """Return the event's name in a body that nobody has verified, None if it cannot be told."""
    try:
        name = json.loads(body).get("event")
    except (ValueError, AttributeError, RecursionError):
        return None
    return name if isinstance(name, str) else None
