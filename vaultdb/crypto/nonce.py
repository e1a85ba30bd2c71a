"""Fresh randomness for nonces: drawn once per statement, never kept."""

from __future__ import annotations

import os
from collections.abc import Callable

from vaultdb.crypto.limits import NONCE_TAIL_SIZE


def nonce_tails(count: int, *, _random: Callable[[int], bytes] = os.urandom) -> list[bytes]:
    """Draw the nonce tails of one statement's values with one call to the system.

    Use each tail for one value and drop the list with the statement. A list that outlives its
    statement repeats after a C-level `fork` or when a virtual machine is restored twice: the
    same nonce would then encrypt two values, and GCM loses its authentication key.

    Args:
        count: how many values the statement encrypts.

    Returns:
        `count` byte strings of 12 bytes, public once used.

    """
    drawn = _random(NONCE_TAIL_SIZE * count)
    return [drawn[at : at + NONCE_TAIL_SIZE] for at in range(0, len(drawn), NONCE_TAIL_SIZE)]
