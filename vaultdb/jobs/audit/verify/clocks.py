"""Times that do not fit: a remark, for clocks jump, and the order of a chain is its `seq`."""

from __future__ import annotations

from datetime import UTC, datetime
from struct import Struct
from typing import Final
from uuid import UUID

APART: Final = 600.0
"""Seconds that a record may be stored after it was told, such as when the database was away."""

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_MINUTE: Final = len("2026-11-23T03:42")
_microseconds: Final = Struct(">q").unpack
_KEPT: Final = 10_000


class Clocks:
    """Compares when a record was told with when it was stored, to the minute."""

    def __init__(self) -> None:
        self.count = 0
        self.first: tuple[UUID, int] | None = None
        self._minutes: dict[bytes, float] = {}

    def look(self, chain: UUID, seq: int, at: bytes, stored: bytes) -> None:
        """Compare the times of one record.

        Args:
            chain: its chain.
            seq: its place.
            at: as authenticated.
            stored: a timestamptz as the server sends it: microseconds since 2000.

        """
        told = self._minutes.get(at[:_MINUTE])
        if told is None:
            told = self._parsed(at)
        if abs(_microseconds(stored)[0] / 1e6 - told) > APART:
            self.count += 1
            if self.first is None:
                self.first = (chain, seq)

    def remark(self) -> str | None:
        """Say what was found, None if nothing."""
        if self.first is None:
            return None
        chain, seq = self.first
        return (
            f"{self.count:,} records were stored more than {APART:.0f} s before or after the time"
            f" that they state, first seq {seq:,} of chain {chain}: a clock jumped, the log could"
            " not be written for a while, or recorded_at was changed (at cannot be)"
        )

    def _parsed(self, at: bytes) -> float:
        try:
            minute = datetime.fromisoformat(at[:_MINUTE].decode()).replace(tzinfo=UTC)
            told = minute.timestamp() - _EPOCH
        except (ValueError, OverflowError):
            return float("inf")
        if len(self._minutes) >= _KEPT:
            self._minutes.clear()
        self._minutes[at[:_MINUTE]] = told
        return told
