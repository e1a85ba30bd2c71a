"""What authenticated records say about the log itself: heads of chains, dropped months, epochs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from vaultdb.audit.kinds import CHAIN_CLOSED, CHAIN_HEARTBEAT, CHAIN_OPENED, EPOCH_BEGUN
from vaultdb.audit.kinds import PARTITION_DROPPED as DROPPED
from vaultdb.audit.opening import opening_digest
from vaultdb.jobs.audit.verify.chain_state import ChainState

MAY_ANNOUNCE: Final = frozenset({"sequencer", "auditor"})
"""The Vault roles whose word it is that a month was dropped or an epoch began."""

_UNREADABLE: Final = (
    *(ValueError, KeyError, TypeError, AttributeError, RecursionError),
    OverflowError,  # 1e999 is infinity in JSON as Python reads it
)
_MARK: Final = b'"event":"'
_OURS: Final = (b"chain.", b"audit.")


@dataclass(frozen=True, slots=True)
class Announced:
    """A month that was announced to be dropped.

    Args:
        events: how many records it had.
        size: the checkpoint below which all of them had leaves.

    """

    events: int
    size: int


@dataclass(slots=True)
class Said:
    """Collects it.

    Args:
        heads: by chain and process, the longest that it was by heartbeats of that process.
        writers: by chain, the public key of the process that opened it.
        lengths: the last seq that each chain has; -1 without any.
        dropped: by month, such as 2026-03.
        epochs: by epoch, at which size it began.
        waiting: since when chains wait for a leaf, by what their first such record states.
        events: records that were read.
        unsequenced: those of them without a leaf.

    """

    heads: dict[tuple[UUID, str], int] = field(default_factory=dict)
    writers: dict[UUID, str] = field(default_factory=dict)
    lengths: dict[UUID, int] = field(default_factory=dict)
    dropped: dict[str, Announced] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    waiting: dict[UUID, str] = field(default_factory=dict)
    events: int = 0
    unsequenced: int = 0

    def read(self, chain: ChainState, seq: int, body: bytes) -> str | None:
        """Read an authentic record of `chain.*` or `audit.*`; return what is wrong, if anything."""
        try:
            said: Mapping[str, Any] = json.loads(body)
            self._read(chain, said["event"], said)
            is_first = said["event"] == CHAIN_OPENED.name
            if is_first and (seq or said["opening"] != opening_digest(chain.text)):
                return "the opening is not the one that the chain began with"
        except _UNREADABLE:
            return "the record cannot be read as the event that it says it is"
        return None

    def _read(self, chain: ChainState, event: str, said: Mapping[str, Any]) -> None:
        if event == CHAIN_HEARTBEAT.name:
            heads = [(UUID(hex=head["chain"]), int(head["seq"])) for head in said["chains"]]
            for other, seq in heads if chain.is_believed else ():
                told = other, chain.writer
                self.heads[told] = max(self.heads.get(told, -1), seq)
        elif not chain.is_believed:
            return
        elif event == CHAIN_CLOSED.name:
            chain.is_closed = True
        elif chain.role in MAY_ANNOUNCE and event == DROPPED.name:
            self.dropped[str(said["month"])] = Announced(int(said["events"]), int(said["size"]))
        elif chain.role in MAY_ANNOUNCE and event == EPOCH_BEGUN.name:
            self.epochs[int(said["epoch"])] = int(said["size"])


def is_about_the_log(body: bytes) -> bool:
    """Tell whether a record says something about the log itself.

    In canonical JSON no other place can look like its event: a quotation mark inside of a string
    is escaped.
    """
    at = body.find(_MARK)
    return at >= 0 and body.startswith(_OURS, at + len(_MARK))
