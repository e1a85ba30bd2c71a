"""Look for known plaintext in a dump: what a thief would do, with an unfair advantage."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from vaultdb.demo.data import Gender

HEX_LITERAL = re.compile(rb"\\\\?x([0-9a-f]{2,})")
"""A bytea as pg_dump writes it, with the backslash doubled in COPY."""

FIELD_ENDS = re.compile(rb"[\t\n'(),]+")
"""What stands between two values, in COPY and in INSERT."""

DISTINCT = 8
"""Bytes: shorter values turn up by chance in the text, a ZIP code in a UUID or a timestamp; they
count only where they are a whole field."""

STEM = 6
"""Bytes: shorter values turn up by chance in megabytes of ciphertext, and count in text only."""


def spellings(patients: Iterable[Mapping[str, object]]) -> set[bytes]:
    """Return each value of `patients` but the ids, as text in UTF-8."""
    return {
        (value.value if isinstance(value, Gender) else str(value)).encode()
        for patient in patients
        for attribute, value in patient.items()
        if attribute != "id" and value is not None
    }


def found_in(dump: bytes, values: Iterable[bytes]) -> set[bytes]:
    """Return those of `values` that a dump shows, in its text or inside a hexadecimal literal."""
    text = HEX_LITERAL.sub(b"", dump)
    fields = set(FIELD_ENDS.split(text))
    binary = b"\0".join(bytes.fromhex(m[1].decode()) for m in HEX_LITERAL.finditer(dump))
    return {
        value for value in values if value in fields or (len(value) >= DISTINCT and value in text)
    } | set(_occurrences(binary, values))


def _occurrences(haystack: bytes, values: Iterable[bytes]) -> Iterator[bytes]:
    by_stem: dict[bytes, list[bytes]] = defaultdict(list)
    for value in values:
        if len(value) >= STEM:
            by_stem[value[:STEM]].append(value)
    positions = range(len(haystack) - STEM + 1)
    for at in [at for at in positions if haystack[at : at + STEM] in by_stem]:
        for value in by_stem[haystack[at : at + STEM]]:
            if haystack.startswith(value, at):
                yield value
