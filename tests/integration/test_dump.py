"""A stolen dump of the demo's database holds no plaintext of any encrypted field."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from vaultdb.demo.clients import Clients
from vaultdb.demo.data import read_patients
from vaultdb.demo.plaintext import found_in, spellings
from vaultdb.demo.privileges import Privileges
from vaultdb.demo.stage import Stage
from vaultdb.demo.values import Values
from vaultdb.dev.stack import DevStack

ENVELOPE = rb"\\\\xf601[0-9a-f]{116,}"
INDEX_VALUE = rb"\\\\xb101[0-9a-f]{48}"


@pytest.fixture(scope="module")
def demo(vaultdb_dev_stack: DevStack) -> Iterator[Stage]:
    """The demo's database with a thousand patients in it."""
    stage = Stage(vaultdb_dev_stack, read_patients())
    Privileges(stage).migrate()
    Values(stage).create_keys()
    Values(stage).load()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def dump(demo: Stage) -> bytes:
    return Clients(demo.conninfo).dump()


def test_no_value_that_was_loaded_is_in_the_dump(demo: Stage, dump: bytes) -> None:
    words_of_the_schema = found_in(Clients(demo.conninfo).schema(), spellings(demo.patients))

    assert found_in(dump, spellings(demo.patients)) <= words_of_the_schema
    assert words_of_the_schema <= {b"other", b"white", b"native", b"black", b"asian"}


def test_every_field_of_every_patient_is_an_id_an_envelope_an_index_value_or_null(
    demo: Stage, dump: bytes
) -> None:
    block = re.search(
        rb"COPY public\.patient \(([^)]*)\) FROM stdin;\n(.*?)\n\\\.\n", dump, re.DOTALL
    )
    assert block is not None
    columns = block[1].decode().split(", ")
    rows = [row.split(b"\t") for row in block[2].split(b"\n")]
    assert len(rows) == len(demo.patients)
    ids = {str(patient["id"]).encode() for patient in demo.patients}
    for row in rows:
        for column, field in zip(columns, row, strict=True):
            assert (
                (column == "id" and field in ids)
                or re.fullmatch(ENVELOPE, field)
                or re.fullmatch(INDEX_VALUE, field)
                or (column != "id" and field == rb"\N")
            ), column


def test_the_search_would_have_found_them(demo: Stage) -> None:
    """The same search on a table that somebody forgot to encrypt."""
    values = spellings(demo.patients)
    with psycopg.connect(demo.conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE forgotten (t text, b bytea)")
        with connection.cursor() as cursor, cursor.copy("COPY forgotten FROM STDIN") as copy:
            for number, value in enumerate(sorted(values)):
                text = value.decode()
                copy.write_row((text, None) if number % 2 else (None, b"-" + value + b"-"))
        dump = Clients(demo.conninfo).dump()
        connection.execute("DROP TABLE forgotten")

    missed = values - found_in(dump, values)
    assert all(len(value) < 6 for value in missed)
    assert len(missed) < len(values) / 10
