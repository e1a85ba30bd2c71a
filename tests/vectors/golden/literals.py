"""How the golden corpus spells typed values in JSON, and the types it uses.

Part of the corpus: readers may be added, existing ones never change.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel


class Sex(enum.Enum):
    FEMALE = "f"
    MALE = "m"
    INTERGESCHLECHTLICH_ODER_DIVERS_X = "x"


class Address(BaseModel):
    street: str
    city: str


@dataclass
class Visit:
    day: date
    fee: Decimal
    address: Address


TYPES: dict[str, Any] = {
    "str": str,
    "bytes": bytes,
    "int": int,
    "float": float,
    "bool": bool,
    "Decimal": Decimal,
    "date": date,
    "datetime": datetime,
    "time": time,
    "timedelta": timedelta,
    "UUID": UUID,
    "Sex": Sex,
    "dict": dict,
    "list": list,
    "Address": Address,
    "Visit": Visit,
}


def read_fold(kind, literal):
    text, _, fold = literal.partition(" fold=")
    return kind.fromisoformat(text).replace(fold=int(fold or 0))


READERS: dict[str, Any] = {
    "str": str,
    "bytes": bytes.fromhex,
    "int": int,
    "float": float.fromhex,
    "bool": bool,
    "Decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": lambda literal: read_fold(datetime, literal),
    "time": lambda literal: read_fold(time, literal),
    "timedelta": lambda literal: timedelta(*literal),
    "UUID": UUID,
    "Sex": Sex.__getitem__,
    "dict": dict,
    "list": list,
    "Address": lambda literal: Address(**literal),
    "Visit": lambda literal: Visit(
        date.fromisoformat(literal["day"]), Decimal(literal["fee"]), Address(**literal["address"])
    ),
}

LITERALS: list[tuple[str, Any]] = [
    ("str", ""),
    ("str", "Ada"),
    ("str", "fifteen letters"),
    ("str", "sixteen letters!"),
    ("str", "Zoë 漢字 🔑 שלום"),
    ("str", "\u0001\u007f\u2028"),
    ("str", "x" * 4096),
    ("bytes", ""),
    ("bytes", "00"),
    ("bytes", "80000000"),
    ("bytes", "f601" + "ff" * 60),
    ("int", "0"),
    ("int", "-1"),
    ("int", "9223372036854775807"),
    ("int", "-9223372036854775808"),
    ("float", "0x0.0p+0"),
    ("float", "-0x0.0p+0"),
    ("float", "0x1.999999999999ap-4"),
    ("float", "0x0.0000000000001p-1022"),
    ("float", "-0x1.fffffffffffffp+1023"),
    ("float", "inf"),
    ("float", "-inf"),
    ("float", "nan"),
    ("bool", True),
    ("bool", False),
    ("Decimal", "0"),
    ("Decimal", "-0.00"),
    ("Decimal", "1.10"),
    ("Decimal", "1E+3"),
    ("Decimal", "-1.5E-20"),
    ("Decimal", "123456789012345678901234567890.123456789"),
    ("Decimal", "Infinity"),
    ("Decimal", "-Infinity"),
    ("Decimal", "NaN"),
    ("date", "0001-01-01"),
    ("date", "1999-12-31"),
    ("date", "2000-01-01"),
    ("date", "9999-12-31"),
    ("datetime", "0001-01-01T00:00:00"),
    ("datetime", "9999-12-31T23:59:59.999999"),
    ("datetime", "2026-10-25T02:30:00 fold=1"),
    ("datetime", "2026-11-22T15:15:51.000001+00:00"),
    ("datetime", "2026-11-22T15:15:51.000001+05:30"),
    ("datetime", "2026-11-22T15:15:51-23:59"),
    ("datetime", "0001-01-01T00:00:00+14:00"),
    ("datetime", "9999-12-31T23:59:59.999999-12:00"),
    ("time", "00:00:00"),
    ("time", "23:59:59.999999"),
    ("time", "02:30:00 fold=1"),
    ("time", "12:00:00+00:00"),
    ("time", "00:00:00+14:00"),
    ("timedelta", [0, 0, 0]),
    ("timedelta", [-1, 86399, 999999]),
    ("timedelta", [999999999, 86399, 999999]),
    ("timedelta", [-999999999, 0, 0]),
    ("UUID", "00000000-0000-0000-0000-000000000000"),
    ("UUID", "01932c07-209b-7fe3-8a5f-0f1e2d3c4b5a"),
    ("Sex", "FEMALE"),
    ("Sex", "MALE"),
    ("Sex", "INTERGESCHLECHTLICH_ODER_DIVERS_X"),
    ("dict", {}),
    ("dict", {"b": [1, -2.5, None, True], "a": {"ä": '\n"\\', "": 0}, "é": 1e22}),
    ("list", []),
    ("list", [9223372036854775807, -9223372036854775808, 0.1, "漢"]),
    ("Address", {"street": "Straße 1", "city": "Köln"}),
    (
        "Visit",
        {"day": "2026-11-22", "fee": "80.10", "address": {"street": "Main St", "city": "Ada"}},
    ),
]
