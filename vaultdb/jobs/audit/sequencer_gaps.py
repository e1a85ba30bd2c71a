"""Chains that wait for a record that does not come: told once each, as long as the process runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from vaultdb.jobs.audit.sequencer_rows import Waiting
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.logs import AUDIT

ALARM_AFTER = 10.0
"""Seconds. A record becomes visible together with all before it in its chain, so that even one
second of this would not be by chance."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A record that is missing, while later ones of its chain are there.

    Args:
        chain: its id.
        seq: of the first missing record.
        seconds: how long the later ones wait.
        is_new: whether it was not told before.

    """

    chain: UUID
    seq: int
    seconds: float
    is_new: bool


class Gaps:
    """Remembers which gaps were seen, and since when.

    Args:
        alarm_after: seconds that a gap may last.

    """

    def __init__(self, alarm_after: float = ALARM_AFTER, *, _clock: Clock = BOOT_TIME) -> None:
        self._alarm_after = alarm_after
        self._clock = _clock
        self._since: dict[tuple[UUID, int], float] = {}
        self._told: set[tuple[UUID, int]] = set()

    def look(self, waiting: Sequence[Waiting], *, everything: bool) -> tuple[Gap, ...]:
        """Return the gaps that last too long, and log those that are new.

        Args:
            waiting: every chain that was looked at and has records without a leaf.
            everything: whether all chains were looked at.

        """
        now = self._clock()
        found = {(each.chain, each.sequenced + 1): each for each in waiting if each.is_gap}
        kept = {} if everything else self._since
        self._since = kept | {key: self._since.get(key, now) for key in found}
        gaps = []
        for key, each in found.items():
            # By our own clock too: the server's may have jumped back.
            seconds = max(each.seconds, now - self._since[key])
            if seconds >= self._alarm_after:
                gaps.append(Gap(*key, seconds, key not in self._told))
        for gap in gaps:
            if gap.is_new:
                self._told.add((gap.chain, gap.seq))
                AUDIT.error(
                    "the chain %s of the audit log waits for its record %d since %.0f s:"
                    " later ones are there, so somebody removed it; run: vaultdb audit verify",
                    gap.chain,
                    gap.seq,
                    gap.seconds,
                )
        return tuple(gaps)
