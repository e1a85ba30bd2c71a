"""The demo's CSV file: what is read, and what is said when it cannot be."""

from __future__ import annotations

import csv
import io
import unicodedata
from datetime import date
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from vaultdb.demo import generate
from vaultdb.demo.data import COLUMNS, SHIPPED, Gender, read_patients
from vaultdb.errors import ConfigurationError

# Written by hand in the column order that Synthea exports, plus a column of newer versions.
ROW = {
    "Id": "5f0f3a0e-64c1-4d43-8f8c-2a7a7be4a001",
    "BIRTHDATE": "1990-02-28",
    "DEATHDATE": "",
    "SSN": "999-12-3456",
    "DRIVERS": "S99912345",
    "PASSPORT": "",
    "PREFIX": "Ms.",
    "FIRST": "Ada",
    "LAST": "Lovelace",
    "SUFFIX": "",
    "MAIDEN": "",
    "MARITAL": "S",
    "RACE": "white",
    "ETHNICITY": "nonhispanic",
    "GENDER": "F",
    "BIRTHPLACE": "London",
    "ADDRESS": "12 St James's Square, flat 3",
    "CITY": "London",
    "STATE": "England",
    "COUNTY": "",
    "ZIP": "01234",
    "LAT": "51.507218",
    "LON": "-0.133333",
    "HEALTHCARE_EXPENSES": "49112.87100000001",
    "HEALTHCARE_COVERAGE": "0.0",
}


def csv_text(*rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "patients.csv"


def refusal(file: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_patients(file)
    return str(caught.value).removeprefix(str(file)).removeprefix(" ")


def test_a_row_becomes_typed_attributes_without_losing_a_digit(file: Path) -> None:
    file.write_text(csv_text(ROW), encoding="utf-8")

    (patient,) = read_patients(file)

    assert patient["id"] == UUID("5f0f3a0e-64c1-4d43-8f8c-2a7a7be4a001")
    assert patient["born"] == date(1990, 2, 28)
    assert patient["died"] is None
    assert patient["gender"] is Gender.FEMALE
    assert patient["zip"] == "01234"
    assert patient["address"] == "12 St James's Square, flat 3"
    assert patient["longitude"] == -0.133333
    assert patient["expenses"] == Decimal("49112.87100000001")
    assert patient["coverage"] == Decimal("0.0")


def test_columns_are_found_by_name_and_unknown_ones_are_left_out(file: Path) -> None:
    columns = ("INCOME", *reversed(COLUMNS))
    file.write_text(csv_text(ROW | {"INCOME": "7"}, columns=columns), encoding="utf-8")

    (patient,) = read_patients(file)

    assert patient["ssn"] == "999-12-3456"
    assert len(patient) == len(COLUMNS)


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + csv_text(ROW).replace("\n", "\r\n").encode())

    assert len(read_patients(file)) == 1


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("Id", "7", "is not a UUID"),
        ("BIRTHDATE", "1990-02-30", "is not a date of the form YYYY-MM-DD"),
        ("BIRTHDATE", "19900228", "is not a date of the form YYYY-MM-DD"),
        ("DEATHDATE", "soon", "is not a date of the form YYYY-MM-DD"),
        ("SSN", "", "is empty"),
        ("GENDER", "female", "is none of F, M, O and U"),
        ("LAT", "91", "is not a number from -90 to 90"),
        ("LON", "nan", "is not a number from -180 to 180"),
        ("HEALTHCARE_EXPENSES", "1,5", "is not a decimal number"),
        ("HEALTHCARE_COVERAGE", "Infinity", "is not a decimal number"),
        ("FIRST", "A\0da", "holds a NUL character"),
    ],
)
def test_a_bad_value_is_told_by_line_and_column_and_never_shown(
    file: Path, column: str, value: str, reason: str
) -> None:
    other = ROW | {"Id": "5f0f3a0e-64c1-4d43-8f8c-2a7a7be4a002", "SSN": "999-12-3457"}
    file.write_text(csv_text(ROW, other | {column: value}), encoding="utf-8")

    message = refusal(file)

    assert message == f"line 3, column {column}: {reason}"
    assert not value or value not in message.replace(reason, "").replace("line 3, column", "")


def test_a_missing_column_is_named(file: Path) -> None:
    columns = tuple(column for column in COLUMNS if column not in {"SSN", "LAT"})
    file.write_text(csv_text(ROW, columns=columns), encoding="utf-8")

    assert refusal(file) == (
        "line 1: no column SSN, LAT; the columns of Synthea's patients.csv are needed"
    )


@pytest.mark.parametrize("column", ["Id", "SSN"])
def test_a_repeated_key_names_both_lines(file: Path, column: str) -> None:
    other = {"Id": "5f0f3a0e-64c1-4d43-8f8c-2a7a7be4a002", "SSN": "999-12-3457"}
    del other[column]
    file.write_text(csv_text(ROW, ROW | other), encoding="utf-8")

    assert refusal(file) == f"line 3, column {column}: the same as on line 2"


def test_bytes_that_are_not_utf_8_are_told_by_line(file: Path) -> None:
    file.write_bytes(csv_text(ROW | {"FIRST": "Zoë"}).encode("latin-1"))

    assert refusal(file) == "line 2: not UTF-8; save the file as UTF-8"


def test_a_short_line_is_told_by_its_number(file: Path) -> None:
    file.write_text(csv_text(ROW) + "one,two\n", encoding="utf-8")

    assert refusal(file) == f"line 3: 2 fields, but the header has {len(COLUMNS)}"


def test_an_open_quote_is_told_by_line(file: Path) -> None:
    file.write_text(csv_text(ROW) + '"never closed', encoding="utf-8")

    assert refusal(file).startswith("line 3: not CSV")


def test_an_empty_file_and_a_lone_header_say_so(file: Path) -> None:
    file.write_bytes(b"")
    assert refusal(file) == "is empty; give it a header line"
    file.write_text(csv_text(), encoding="utf-8")
    assert refusal(file) == "holds no patients, only a header"


def test_a_missing_file_and_a_directory_say_so(tmp_path: Path) -> None:
    missing = tmp_path / "none.csv"
    with pytest.raises(ConfigurationError, match=f"cannot read {missing}: No such file"):
        read_patients(missing)
    with pytest.raises(ConfigurationError, match=f"cannot read {tmp_path}: Is a directory"):
        read_patients(tmp_path)


def test_the_shipped_patients_are_what_the_generator_makes(tmp_path: Path) -> None:
    generate.write(tmp_path / "again.csv")

    assert (tmp_path / "again.csv").read_bytes() == SHIPPED.read_bytes()


def test_the_shipped_patients_are_a_thousand_in_many_scripts_with_unissued_numbers() -> None:
    patients = read_patients()

    assert len(patients) == 1000
    assert all(patient["ssn"].startswith("999-") for patient in patients)
    scripts = {unicodedata.name(patient["first_name"][0]).split()[0] for patient in patients}
    assert scripts >= {
        "LATIN", "GREEK", "CYRILLIC", "ARABIC", "HEBREW", "DEVANAGARI", "TAMIL", "CJK",
        "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "GEORGIAN", "ARMENIAN", "ETHIOPIC",
    }  # fmt: skip
