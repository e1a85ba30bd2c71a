"""Telling a login that PostgreSQL does not accept from any other trouble with connecting."""

from __future__ import annotations

import psycopg

_REFUSED = ("authentication failed", "no such user")
"""What PostgreSQL and PgBouncer say in English; libpq passes no SQLSTATE on."""
_BUSY = ("too many connections", "no more connections allowed")


def is_refused(error: psycopg.Error, user: str | None) -> bool:
    """Return whether user or password are not, or no longer, accepted.

    A server that speaks another language quotes the user's name all the same.
    """
    text = str(error)
    if any(mark in text for mark in _BUSY):
        return False
    return any(mark in text for mark in _REFUSED) or (user is not None and user in text)
