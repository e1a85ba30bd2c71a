from __future__ import annotations

import unicodedata

import pytest

from vaultdb.crypto.normalise import normaliser
from vaultdb.errors import ConfigurationError


@pytest.mark.parametrize(
    ("names", "identifier", "text", "expected"),
    [
        ("exact", "exact/1", " Ädá ", " Ädá "),
        ("nfc", "nfc/1", "A\u0308", "\u00c4"),
        ("casefold", "casefold/1", "Straße", "strasse"),
        ("casefold", "casefold/1", "A\u0308DA", "\u00e4da"),
        ("casefold", "casefold/1", "\u0345\u0301", unicodedata.normalize("NFC", "\u0301\u03b9")),
        ("strip", "strip/1", "\t a b \u00a0", "a b"),
        ("digits", "digits/1", "999-17-5017 \u0661", "999175017"),
        ("strip+casefold", "strip/1+casefold/1", " Ada@Example.COM\n", "ada@example.com"),
        ("digits", "digits/1", "none", ""),
    ],
)
def test_a_normaliser_gives_one_spelling(names, identifier, text, expected):
    steps = normaliser(names)
    assert steps.identifier == identifier
    assert steps(text) == expected
    assert steps(steps(text)) == expected


def test_values_are_exact_by_default():
    assert normaliser().identifier == "exact/1"


@pytest.mark.parametrize("names", ["", "lower", "strip+", "strip, casefold"])
def test_an_unknown_normaliser_is_refused_with_the_names_that_exist(names):
    with pytest.raises(ConfigurationError, match="exact, nfc, casefold, strip, digits"):
        normaliser(names)
