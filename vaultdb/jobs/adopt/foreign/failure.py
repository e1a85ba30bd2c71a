"""What a reader says about a value that it cannot read."""

from __future__ import annotations


class Unreadable(Exception):
    """A stored value is not what the format says, or belongs to another key; shows nothing of it.

    Args:
        reason: a code for the quarantine, such as `wrong key or altered`.

    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


MALFORMED = "not of this format"
WRONG_KEY = "wrong key or altered"
NOT_TEXT = "not text after decryption"
