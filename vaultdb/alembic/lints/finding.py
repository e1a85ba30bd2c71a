"""What a rule has found, and where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One line of `vaultdb migrate check`."""

    file: str
    """The revision; empty for what is only in the database or in the models."""
    line: int
    """Counted from 1; 0 where there is none."""
    rule: str
    """Its name, as a comment that allows it has it."""
    message: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file else ""
        return f"{where}{self.rule}: {self.message}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement was sent from."""

    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """A plaintext column and the encrypted one that replaces it."""

    table: tuple[str, ...]
    plain: str
    encrypted: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding whose place is not known yet, or is that of an earlier statement."""

    rule: str
    message: str
    place: Place | None = None
    pair: Pair | None = None
    """Whose plaintext is dropped."""
