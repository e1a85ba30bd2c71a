"""Row keys that no database of ours selects."""

from __future__ import annotations

import pytest

from vaultdb.audit.chain import Chain
from vaultdb.audit.row_name import RowName, shown_key
from vaultdb.crypto.row_binding import KeyTag


@pytest.mark.parametrize(
    "key",
    [
        bytes([1, KeyTag.UUID, 0, 0, 0, 1, 0]),
        bytes([1, KeyTag.UUID, 0]),
        bytes([1, KeyTag.INTEGER]) + (4000).to_bytes(4, "big") + b"\x7f" * 4000,
    ],
)
def test_a_key_that_cannot_be_shown_becomes_a_digest(key: bytes) -> None:
    """An event that cannot be linked would stop every event behind it."""
    chain, _ = Chain.new()

    assert shown_key(key) is None
    assert RowName("patient", key).in_chain(chain).startswith("h:")
