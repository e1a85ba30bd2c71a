"""How an event names a row: integers and UUIDs in plain, natural keys as digests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from vaultdb.crypto.row_binding import KeyTag

if TYPE_CHECKING:
    from vaultdb.audit.chain import Chain

_HEADER = 5  # tag, length


@dataclass(frozen=True, slots=True)
class RowName:
    """A row that an event is about.

    A key of integers and UUIDs is shown, for it says nothing by itself. A natural key, such as a
    social security number or a name, becomes a digest under a secret of the chain: only who
    opens the chain's escrow can ask whether it stands for a certain row.

    Args:
        table: schema and table, joined by a dot.
        key: the row binding, its key columns encoded (`vaultdb.crypto.row_binding`).

    """

    table: str
    key: bytes = field(repr=False)

    def in_chain(self, chain: Chain) -> str:
        """Return the text that stands in an event of that chain."""
        return shown_key(self.key) or chain.row_key_digest(self.table, self.key)


def shown_key(key: bytes) -> str | None:
    """Return a key of integers and UUIDs in plain, columns joined by a comma; None for others.

    Example:
        >>> shown_key(bytes.fromhex("01 01 00000008 0000000000000007"))
        '7'

    """
    try:
        return _shown(key)
    except ValueError:  # no key of ours; what cannot be named would stop all events behind it
        return None


def _shown(key: bytes) -> str | None:
    shown: list[str] = []
    for tag, part in _parts(key):
        if tag == KeyTag.INTEGER:
            shown.append(str(int.from_bytes(part, "big", signed=True)))
        elif tag == KeyTag.UUID:
            shown.append(str(UUID(bytes=part)))
        else:
            return None
    return ",".join(shown) or None


def _parts(key: bytes) -> Iterator[tuple[int, bytes]]:
    at = 1
    while at < len(key):
        size = int.from_bytes(key[at + 1 : at + _HEADER], "big")
        yield key[at], key[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size
