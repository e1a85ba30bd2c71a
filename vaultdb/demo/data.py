"""Read patients from a CSV file with the columns of Synthea's `patients.csv`.

Whatever is wrong with the file is said in one line that names the line and the column, never the
value: the file may hold real people.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

from vaultdb.errors import ConfigurationError

SHIPPED = files("vaultdb.demo").joinpath("patients.csv")
"""A thousand synthetic patients, made by `vaultdb.demo.generate`."""


class Gender(Enum):
    """The administrative genders of HL7 FHIR, with Synthea's letters."""

    FEMALE = "F"
    MALE = "M"
    OTHER = "O"
    UNKNOWN = "U"


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return value


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise ValueError("is not a UUID") from None


def _date(value: str) -> date:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:
        raise ValueError("is not a date of the form YYYY-MM-DD")
    return day


def _gender(value: str) -> Gender:
    try:
        return Gender(value)
    except ValueError:
        raise ValueError("is none of F, M, O and U") from None


def _degrees(limit: int) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            degrees = float(value)
        except ValueError:
            degrees = math.nan
        if not abs(degrees) <= limit:
            raise ValueError(f"is not a number from -{limit} to {limit}")
        return degrees

    return parse


def _amount(value: str) -> Decimal:
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise ValueError("is not a decimal number")
    return amount


@dataclass(frozen=True, slots=True)
class Field:
    """One column of the file: its heading, the attribute it fills, and how to read it."""

    column: str
    attribute: str
    parse: Callable[[str], object] = _text
    required: bool = True
    unique: bool = False


FIELDS = (
    Field("Id", "id", _uuid, unique=True),
    Field("BIRTHDATE", "born", _date),
    Field("DEATHDATE", "died", _date, required=False),
    Field("SSN", "ssn", unique=True),
    Field("DRIVERS", "drivers_licence", required=False),
    Field("PASSPORT", "passport", required=False),
    Field("PREFIX", "prefix", required=False),
    Field("FIRST", "first_name"),
    Field("LAST", "last_name"),
    Field("SUFFIX", "suffix", required=False),
    Field("MAIDEN", "maiden_name", required=False),
    Field("MARITAL", "marital_status", required=False),
    Field("RACE", "race"),
    Field("ETHNICITY", "ethnicity"),
    Field("GENDER", "gender", _gender),
    Field("BIRTHPLACE", "birthplace"),
    Field("ADDRESS", "address"),
    Field("CITY", "city"),
    Field("STATE", "state"),
    Field("COUNTY", "county", required=False),
    Field("ZIP", "zip", required=False),
    Field("LAT", "latitude", _degrees(90)),
    Field("LON", "longitude", _degrees(180)),
    Field("HEALTHCARE_EXPENSES", "expenses", _amount),
    Field("HEALTHCARE_COVERAGE", "coverage", _amount),
)
COLUMNS = tuple(field.column for field in FIELDS)


def read_patients(path: Path | None = None) -> list[dict[str, Any]]:
    """Read every patient of a file as the attributes of the model.

    Args:
        path: a CSV file in UTF-8; None reads the patients that ship with the package. Columns that
            the model does not know are left out.

    Raises:
        ConfigurationError: the file cannot be read; the message names line and column.

    """
    name = "the shipped patients.csv" if path is None else str(path)
    text = _decode(SHIPPED.read_bytes() if path is None else _bytes_of(path), name)
    patients = list(_patients(csv.reader(io.StringIO(text, newline=""), strict=True), name))
    if not patients:
        raise ConfigurationError(f"{name} holds no patients, only a header")
    return patients


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None


def _decode(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{name} line {line}: not UTF-8; save the file as UTF-8") from None


def _patients(rows: Any, name: str) -> Iterator[dict[str, Any]]:
    try:
        header = next(rows, None)
        if not header:
            raise ConfigurationError(f"{name} is empty; give it a header line")
        positions = _positions(header, name)
        seen: dict[str, dict[object, int]] = {f.column: {} for f in FIELDS if f.unique}
        for row in rows:
            if row:
                where = f"{name} line {rows.line_num}"
                if len(row) != len(header):
                    raise ConfigurationError(
                        f"{where}: {len(row)} fields, but the header has {len(header)}"
                    )
                patient = _patient(row, positions, where)
                _check_unique(patient, seen, rows.line_num, where)
                yield patient
    except csv.Error as error:
        raise ConfigurationError(f"{name} line {rows.line_num}: not CSV: {error}") from None


def _positions(header: Sequence[str], name: str) -> Mapping[str, int]:
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise ConfigurationError(
            f"{name} line 1: no column {', '.join(missing)}; the columns of Synthea's patients.csv "
            "are needed"
        )
    return {column: header.index(column) for column in COLUMNS}


def _patient(row: Sequence[str], positions: Mapping[str, int], where: str) -> dict[str, Any]:
    patient: dict[str, Any] = {}
    for field in FIELDS:
        value = row[positions[field.column]]
        try:
            patient[field.attribute] = _value(field, value)
        except ValueError as error:
            raise ConfigurationError(f"{where}, column {field.column}: {error}") from None
    return patient


def _value(field: Field, value: str) -> object:
    if value:
        return field.parse(value)
    if field.required:
        raise ValueError("is empty")
    return None


def _check_unique(
    patient: Mapping[str, Any], seen: Mapping[str, dict[object, int]], line: int, where: str
) -> None:
    for field in FIELDS:
        if field.unique:
            first = seen[field.column].setdefault(patient[field.attribute], line)
            if first != line:
                raise ConfigurationError(
                    f"{where}, column {field.column}: the same as on line {first}"
                )
