"""The search for plaintext in a dump must be able to find some."""

from __future__ import annotations

import pytest

from vaultdb.demo.data import read_patients
from vaultdb.demo.plaintext import found_in, spellings

VALUE = "Παπαδόπουλος".encode()


@pytest.mark.parametrize(
    "dump",
    [
        pytest.param(b"COPY t FROM stdin;\n1\t" + VALUE + b"\n", id="text"),
        pytest.param(b"1\t\\\\x00ff" + VALUE.hex().encode() + b"00\n", id="a bytea in COPY"),
        pytest.param(b"VALUES (1, '\\x" + VALUE.hex().encode() + b"');", id="a bytea in INSERT"),
    ],
)
def test_a_value_is_found_wherever_it_hides(dump: bytes) -> None:
    assert found_in(dump, {VALUE, b"nothing like it"}) == {VALUE}


def test_a_short_value_counts_as_a_field_of_its_own_only() -> None:
    """A ZIP code turns up by chance in a UUID, in a timestamp, and in ciphertext."""
    zip_code = b"98254"
    chance = b"3e982543-\t12:00:00.98254+00\t\\\\x" + zip_code.hex().encode()

    assert found_in(b"1\t" + zip_code + b"\n", {zip_code}) == {zip_code}
    assert found_in(b"VALUES (1, '98254');", {zip_code}) == {zip_code}
    assert found_in(chance, {zip_code}) == set()


def test_every_kind_of_value_is_looked_for() -> None:
    values = spellings(read_patients())

    assert {
        b"F",
        b"M",
        b"1976-01-09",
        b"1836004.90",
        "Núñez".encode(),
        b"42.505730179647486",
    } <= values
