"""Make the synthetic patients that ship with the demo: `python -m vaultdb.demo.generate`.

The same seed gives the same bytes on every Python: only `Random.random()` is used, the one method
whose sequence the standard library promises to keep. Every SSN begins with 999, an area number that
is never issued.
"""

from __future__ import annotations

import csv
import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid5

from vaultdb.demo.data import COLUMNS, SHIPPED

COUNT = 1000
SEED = 2
NAMESPACE = UUID("5b0cc1e6-6cb1-5e8a-9d6e-7f0d1f2b9a11")
"""Where the patients' ids come from: `uuid5(NAMESPACE, "patient N")`."""

FIRST_BIRTH = date(1925, 1, 1)
LAST_BIRTH = date(2024, 12, 31)
LAST_DEATH = date(2025, 12, 31)
ADULT_YEARS = 18
TITLES = {"F": ("Mrs.", "Ms.", "Dr."), "M": ("Mr.", "Mr.", "Dr.")}

RACES = ("asian", "black", "hawaiian", "native", "other", "white")
ETHNICITIES = ("hispanic", "nonhispanic")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Community:
    """The words of one script or alphabet."""

    name: str
    female: Sequence[str]
    male: Sequence[str]
    family: Sequence[str]
    address: str
    streets: Sequence[str]
    cities: Sequence[tuple[str, str, str, float, float]]


class Dice:
    """Reproducible draws from `Random.random()` alone."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random  # noqa: S311  # synthetic data, not secrets

    def below(self, limit: int) -> int:
        """Draw a whole number from 0 to `limit` - 1."""
        return int(self._random() * limit)

    def one_of(self, choices: Sequence[T]) -> T:
        """Draw one of `choices`."""
        return choices[self.below(len(choices))]

    def chance(self, percent: int) -> bool:
        """Tell True in `percent` of the calls."""
        return self.below(100) < percent

    def digits(self, count: int) -> str:
        """Draw `count` decimal digits."""
        return f"{self.below(10**count):0{count}}"

    def day(self, first: date, last: date) -> date:
        """Draw a day from `first` to `last`."""
        return first + timedelta(days=self.below((last - first).days + 1))

    def near(self, degrees: float) -> str:
        """Draw a co-ordinate within a tenth of a degree, with all its digits."""
        return repr(degrees + (self._random() - 0.5) / 5)


def communities() -> list[Community]:
    """Read the word lists."""
    text = files("vaultdb.demo").joinpath("communities.toml").read_text(encoding="utf-8")
    return [Community(**table) for table in tomllib.loads(text)["community"]]


def patients(count: int = COUNT, *, seed: int = SEED) -> Iterator[dict[str, str]]:
    """Make `count` patients, as rows of Synthea's `patients.csv`."""
    dice = Dice(seed)
    words = communities()
    used: set[str] = set()
    for number in range(count):
        community = words[number % len(words)]
        yield _patient(dice, community, number, _unused_ssn(dice, used))


def _unused_ssn(dice: Dice, used: set[str]) -> str:
    while True:
        ssn = f"999-{10 + dice.below(90)}-{1000 + dice.below(9000)}"
        if ssn not in used:
            used.add(ssn)
            return ssn


def _patient(dice: Dice, community: Community, number: int, ssn: str) -> dict[str, str]:
    gender = dice.one_of("FM")
    born = dice.day(FIRST_BIRTH, LAST_BIRTH)
    died = dice.day(born, LAST_DEATH) if dice.chance(10) else None
    adult = (died or LAST_DEATH).year - born.year > ADULT_YEARS
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row |= {
        "Id": uuid5(NAMESPACE, f"patient {number}"),
        "BIRTHDATE": born.isoformat(),
        "DEATHDATE": died.isoformat() if died else "",
        "SSN": ssn,
        "FIRST": dice.one_of(community.female if gender == "F" else community.male),
        "LAST": dice.one_of(community.family),
        "RACE": dice.one_of(RACES),
        "ETHNICITY": dice.one_of(ETHNICITIES),
        "GENDER": gender,
        "HEALTHCARE_EXPENSES": f"{dice.below(2_500_000)}.{dice.digits(2)}",
        "HEALTHCARE_COVERAGE": f"{dice.below(800_000)}.{dice.digits(2)}",
    }
    row |= _home(dice, community)
    if adult:
        row |= _papers(dice, community, gender)
    return {column: str(row[column]) for column in COLUMNS}


def _home(dice: Dice, community: Community) -> dict[str, Any]:
    city, county, state, latitude, longitude = dice.one_of(community.cities)
    birthplace = dice.one_of(community.cities)
    street = dice.one_of(community.streets)
    return {
        "BIRTHPLACE": f"{birthplace[0]}  {birthplace[2]}",
        "ADDRESS": community.address.format(number=1 + dice.below(990), street=street),
        "CITY": city,
        "STATE": state,
        "COUNTY": county,
        "ZIP": dice.digits(5) if dice.chance(60) else "",
        "LAT": dice.near(latitude),
        "LON": dice.near(longitude),
    }


def _papers(dice: Dice, community: Community, gender: str) -> dict[str, Any]:
    married = dice.chance(55)
    return {
        "DRIVERS": f"S999{dice.digits(5)}" if dice.chance(85) else "",
        "PASSPORT": f"X{dice.digits(8)}X" if dice.chance(70) else "",
        "PREFIX": dice.one_of(TITLES[gender]),
        "SUFFIX": dice.one_of(("PhD", "MD", "JD")) if dice.chance(3) else "",
        "MAIDEN": dice.one_of(community.family) if gender == "F" and married else "",
        "MARITAL": "M" if married else dice.one_of("SDW"),
    }


def write(path: Path) -> None:
    """Write the synthetic patients to `path` as UTF-8 with line feeds."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(patients())


if __name__ == "__main__":
    write(Path(str(SHIPPED)))
