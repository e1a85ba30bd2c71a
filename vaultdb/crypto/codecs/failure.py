"""The two ways a codec fails; neither shows a value."""

from __future__ import annotations

from vaultdb.crypto.reason import Reason
from vaultdb.errors import DecryptionError, ValueRefused


def refused(column: str, wanted: str) -> ValueRefused:
    """Describe a value that a codec cannot encode.

    Args:
        column: the declared type.
        wanted: what to give instead.

    """
    return ValueRefused(f"an encrypted {column} column takes {wanted}")


def bad_payload() -> DecryptionError:
    """Describe an authentic payload that is not of the declared type."""
    return DecryptionError(Reason.PAYLOAD)
