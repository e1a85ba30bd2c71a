"""Normalisers: which spellings a blind index takes for the same value.

A normaliser's result is part of every stored index value, so each has a version: a change is a
new version beside the old one, never an edit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from vaultdb.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Normaliser:
    """One or several steps, applied to text before the blind index.

    Args:
        identifier: the steps with their versions, for example `strip/1+casefold/1`.
        names: the steps.

    """

    identifier: str
    names: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """Apply the steps in order."""
        for name in self.names:
            text = _STEPS[name][1](text)
        return text


def normaliser(names: str = "exact") -> Normaliser:
    """Look up a normaliser.

    `exact` keeps the text; `nfc` composes characters; `casefold` ignores case (and
    composes); `strip` drops white space at both ends; `digits` keeps the ASCII digits only.
    Steps are joined with `+`: `strip+casefold`.

    Args:
        names: one or several names.

    Raises:
        ConfigurationError: a name that does not exist.

    """
    steps = tuple(names.split("+"))
    for name in steps:
        if name not in _STEPS:
            raise ConfigurationError(
                f"there is no normaliser {name!r}; use {', '.join(_STEPS)}, joined with '+'"
            )
    return Normaliser("+".join(f"{name}/{_STEPS[name][0]}" for name in steps), steps)


def _exact(text: str) -> str:
    return text


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _casefold(text: str) -> str:
    # Canonical caseless matching (Unicode 3.13, D145), composed again for a short result.
    folded = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", folded)


def _digits(text: str) -> str:
    return "".join(character for character in text if character in "0123456789")


_STEPS: Final[Mapping[str, tuple[int, Callable[[str], str]]]] = {
    "exact": (1, _exact),
    "nfc": (1, _nfc),
    "casefold": (1, _casefold),
    "strip": (1, str.strip),
    "digits": (1, _digits),
}
