"""Whether what records say of each other agrees: heartbeats, dropped months, how long one waits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import chain as flattened
from typing import Final

from vaultdb.audit.event import timestamp
from vaultdb.jobs.audit.verify.findings import Findings, Problem
from vaultdb.jobs.audit.verify.said import Said
from vaultdb.jobs.audit.verify.source import Source

UNSIGNED_AFTER: Final = 3600.0
"""Seconds after which a record without a leaf says that no sequencer is at work."""

_MONTH: Final = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def following(month: str) -> str:
    """Return the month after one; that of what is no month is before all others."""
    if _MONTH.fullmatch(month) is None:
        return ""
    year, number = divmod(int(month[:4]) * 12 + int(month[5:]), 12)
    return f"{year:04}-{number + 1:02}"


def check_heads(said: Said, findings: Findings) -> None:
    """Report chains that were longer once, by a heartbeat of their process."""
    for (chain, writer), head in said.heads.items():
        if said.writers.get(chain, writer) != writer:
            continue  # nobody's word counts about the chains of another process
        last = said.lengths.get(chain, -1)
        if last < head:
            what = f"the chain ends here, and had a record {head:,} by a heartbeat of its process"
            findings.add(Problem("truncated", what, chain, last + 1))


def check_waiting(said: Said, findings: Findings, unsigned_after: float) -> None:
    """Report records that no sequencer has looked at for too long.

    Args:
        said: what the records say.
        findings: takes the problem.
        unsigned_after: seconds, by this machine's clock.

    """
    limit = timestamp(datetime.now(UTC) - timedelta(seconds=unsigned_after))
    late = sorted((at, str(chain), chain) for chain, at in said.waiting.items() if at < limit)
    if late:
        at, _, chain = late[0]
        what = f"records of {len(late):,} chains have waited for a leaf since then, so their end"
        what += " could be cut off unseen"
        findings.add(Problem("unsigned", what, chain, at=at))


def check_cuts(source: Source, said: Said, findings: Findings, *, offline: bool) -> None:
    """Report months that are gone without an announcement, or with more than was announced.

    The announcement of a month is itself in a later month, and is dropped with that one. So older
    months than the oldest announced one are believed, as far as their chains were opened by then.
    """
    cuts = list(flattened.from_iterable(source.cuts()))
    if offline:
        if cuts:
            findings.remarks.append(
                f"offline: {len(cuts)} months were dropped, and who announced it was not checked"
            )
        return
    newest = max(said.dropped, default="")
    for month, gone, last in cuts:
        announced = None if month is None else said.dropped.get(month)
        if month is None or _MONTH.fullmatch(month) is None:
            what = "chains were cut with what is no month"
        elif announced is None and month > newest:
            what = f"the month {month} was dropped, and nobody who may announced it"
        elif announced is not None and gone > announced.events:
            what = f"{gone:,} records of {month} are gone, and {announced.events:,} were announced"
        elif announced is not None and last is not None and last >= announced.size:
            what = f"records of {month} are gone that were above the checkpoint of its announcement"
        else:
            continue
        findings.add(Problem("dropped", what))
