"""Times as people say them: ISO 8601, a day, a month, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from vaultdb.errors import ConfigurationError

_AGO: Final = re.compile(r"(\d{1,9})\s*(s|m|h|d|w)(?:\s*ago)?")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MONTH: Final = re.compile(r"\d{4}-\d{2}")


def parse_time(text: str, option: str, *, now: datetime | None = None) -> datetime:
    """Return a time: `2026-03-01T12:00:00+01:00`, `2026-03-01`, `2026-03`, `7d` or `now`.

    Without a zone it is UTC, as times in the log are.

    Raises:
        ConfigurationError: it is no such time.

    """
    said, now = text.strip(), now or datetime.now(UTC)
    ago = _AGO.fullmatch(said)
    try:
        if said == "now":
            return now
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(f"{said}-01" if _MONTH.fullmatch(said) else said)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{option} is a time such as 2026-03-01, 2026-03-01T12:00:00Z, 2026-03, 24h or 7d"
        ) from None


def month_span(text: str, option: str) -> tuple[datetime, datetime]:
    """Return the first moment of a month such as `2026-03`, and that of the next.

    Raises:
        ConfigurationError: it is no month.

    """
    if _MONTH.fullmatch(text.strip()) is None:
        raise ConfigurationError(f"{option} is a month such as 2026-03")
    first = parse_time(text, option)
    return first, (first + timedelta(days=32)).replace(day=1)
