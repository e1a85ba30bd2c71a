"""Many signed notes in one text, as the file sink keeps them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from vaultdb.audit.chain import Record
from vaultdb.audit.note import Checkpoint, SignedNote

_NOTE = re.compile(r"[^\n]+\n(?:[^\n]+\n)+\n(?:\N{EM DASH} [^\n]+\n)+")


@runtime_checkable
class Remembers(Protocol):
    """A sink that can be asked what it has kept."""

    def kept(self, place: tuple[int, int]) -> Iterator[str]:
        """Return signed notes that it has kept from there on, newest first.

        Args:
            place: epoch and size.

        Raises:
            OSError: it cannot be read.

        """
        ...


def split_notes(text: str) -> list[str]:
    """Return each whole note in a text; what a crash has cut short is left out."""
    return _NOTE.findall(text)


def place_of(note: str) -> tuple[int, int]:
    """Return epoch and size of a signed note, whoever signed it.

    Raises:
        NoteError: it is not one.

    """
    checkpoint = Checkpoint.parse(SignedNote.parse(note).text)
    epoch = checkpoint.origin.removeprefix("vaultdb-audit/").partition("/")[2]
    return int(epoch) if epoch.isascii() and epoch.isdecimal() else 1, checkpoint.size


def as_lines(records: Sequence[Record]) -> str:
    """Return records as JSON lines, body and time exactly as they were authenticated."""
    return "".join(
        json.dumps(
            {
                "chain": record.chain.hex,
                "seq": record.seq,
                "at": record.at,
                "body": record.body,
                "mac": record.mac.hex(),
            },
            separators=(",", ":"),
        )
        + "\n"
        for record in records
    )
