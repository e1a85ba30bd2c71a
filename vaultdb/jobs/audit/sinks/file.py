"""`file:///path`: a file that only grows, on a disk that is not the database's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self
from urllib.parse import unquote

from vaultdb.audit.chain import Record
from vaultdb.audit.note import NoteError
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.sinks.address import SinkAddress
from vaultdb.jobs.audit.sinks.notes import as_lines, place_of, split_notes

_MODE: Final = 0o640
_TAIL: Final = 65_536
"""Bytes at the end of the file that are searched for the newest checkpoint; a note has 300."""


class FileSink:
    """Appends, and waits until the disk has it.

    Args:
        path: of the file; its folder is there.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_new = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        if self._is_new:
            _sync_folder(path.parent)

    @classmethod
    def of(cls, address: SinkAddress) -> Self:
        """Open the file of a URL.

        Raises:
            ConfigurationError: it cannot be opened.

        """
        path = Path(unquote(address.url.path))
        if address.url.netloc not in {"", "localhost"} or not path.is_absolute():
            raise ConfigurationError(
                f"{address.name}: write file:///path, with a path that begins with /"
            )
        try:
            return cls(path)
        except OSError as error:
            raise ConfigurationError(f"{address.name}: {error.strerror}") from None

    def checkpoint(self, note: str) -> None:
        """Append a signed note and an empty line.

        Raises:
            OSError: the disk is full, or gone.

        """
        self._append(note + "\n", after=b"\n\n")

    def records(self, records: Sequence[Record]) -> None:
        """Append records as JSON lines.

        Raises:
            OSError: the disk is full, or gone.

        """
        self._append(as_lines(records), after=b"\n")

    def kept(self, place: tuple[int, int]) -> Iterator[str]:  # noqa: ARG002  # the end is enough
        """Return the last notes in the file, newest first."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, _TAIL, max(0, size - _TAIL))
        notes = split_notes(tail.decode(errors="replace"))
        # Two sequencers in turn may have written them out of order.
        yield from sorted(notes, key=_place, reverse=True)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, text: str, *, after: bytes) -> None:
        data = text.encode()
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, len(after), max(0, size - len(after))) != after:
            data = b"\n\n" + data  # a write before was cut short
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)


def _place(note: str) -> tuple[int, int]:
    try:
        return place_of(note)
    except NoteError:
        return 0, 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
