"""The second implementation of the payload encodings: by type tag, both ways."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

DAY_ZERO = date(2000, 1, 1)
MICRO = timedelta(microseconds=1)


def signed(number, size):
    return number.to_bytes(size, "big", signed=True)


def encode_int(value):
    return signed(value, 8)


def encode_float(value):
    if value != value:  # noqa: PLR0124  # only a NaN differs from itself
        return bytes.fromhex("7ff8000000000000")
    sign = 1 << 63 if str(value).startswith("-") else 0
    if value in (float("inf"), float("-inf")):
        return (sign | 0x7FF << 52).to_bytes(8, "big")
    mantissa, _, exponent = abs(value).hex().partition("p")
    whole, _, fraction = mantissa.removeprefix("0x").partition(".")
    bits = int(fraction.ljust(13, "0") or "0", 16)
    biased = int(exponent) + 1023 if whole == "1" else 0
    return (sign | biased << 52 | bits).to_bytes(8, "big")


def decode_float(payload):
    bits = int.from_bytes(payload, "big")
    sign = "-" if bits >> 63 else ""
    exponent, fraction = bits >> 52 & 0x7FF, bits & (1 << 52) - 1
    if exponent == 0x7FF:
        return float("nan") if fraction else float(sign + "inf")
    lead, power = ("1", exponent - 1023) if exponent else ("0", -1022)
    return float.fromhex(f"{sign}0x{lead}.{fraction:013x}p{power}")


def encode_decimal(value):
    """The to-scientific-string of the General Decimal Arithmetic Specification."""
    sign, digits, exponent = value.as_tuple()
    minus = "-" if sign else ""
    if exponent == "F":
        return f"{minus}Infinity".encode()
    if exponent == "n":
        return b"NaN"
    coefficient = "".join(map(str, digits)) or "0"
    adjusted = exponent + len(coefficient) - 1
    if exponent <= 0 and adjusted >= -6:
        if exponent == 0:
            return (minus + coefficient).encode()
        padded = coefficient.zfill(1 - exponent)
        return f"{minus}{padded[:exponent]}.{padded[exponent:]}".encode()
    head, rest = coefficient[0], coefficient[1:]
    return f"{minus}{head}{'.' + rest if rest else ''}E{adjusted:+d}".encode()


def encode_date(value):
    return signed((value - DAY_ZERO).days, 4)


def kind_of(value):
    return (1 if value.tzinfo else 0) | (2 if value.fold else 0)


def offset_of(value):
    return int(value.utcoffset().total_seconds()) if value.tzinfo else 0


def encode_datetime(value):
    midnight = datetime.combine(DAY_ZERO, time())
    wall = (value.replace(tzinfo=None, fold=0) - midnight) // MICRO
    return bytes([kind_of(value)]) + signed(wall, 8) + signed(offset_of(value), 4)


def encode_time(value):
    since = timedelta(
        hours=value.hour,
        minutes=value.minute,
        seconds=value.second,
        microseconds=value.microsecond,
    )
    return bytes([kind_of(value)]) + signed(since // MICRO, 8) + signed(offset_of(value), 4)


def zone(kind, offset):
    if not kind & 1:
        return None
    return timezone(timedelta(seconds=offset)) if offset else UTC


def decode_datetime(payload):
    kind, wall, offset = payload[0], payload[1:9], payload[9:]
    moment = datetime.combine(DAY_ZERO, time()) + MICRO * int.from_bytes(wall, "big", signed=True)
    tz = zone(kind, int.from_bytes(offset, "big", signed=True))
    return moment.replace(tzinfo=tz, fold=kind >> 1)


def decode_time(payload):
    moment = decode_datetime(bytes([payload[0]]) + payload[1:])
    return moment.timetz()


def encode_timedelta(value):
    return (
        signed(value.days, 4)
        + value.seconds.to_bytes(4, "big")
        + value.microseconds.to_bytes(4, "big")
    )


def decode_timedelta(payload):
    days = int.from_bytes(payload[:4], "big", signed=True)
    seconds = int.from_bytes(payload[4:8], "big")
    return timedelta(days, seconds, int.from_bytes(payload[8:], "big"))


def json_text(value):
    """Canonical JSON, written out by hand."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json_string(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    members = (f"{json_string(key)}:{json_text(value[key])}" for key in sorted(value))
    return "{" + ",".join(members) + "}"


def json_string(text):
    short = {
        '"': '\\"',
        "\\": "\\\\",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\f": "\\f",
        "\b": "\\b",
    }
    escaped = (short.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in text)
    return '"' + "".join(escaped) + '"'


ENCODERS = {
    "str": lambda value: bytes(value, "utf-8"),
    "bytes": bytes,
    "int": encode_int,
    "float": encode_float,
    "bool": lambda value: bytes([int(value)]),
    "decimal": encode_decimal,
    "date": encode_date,
    "datetime": encode_datetime,
    "time": encode_time,
    "timedelta": encode_timedelta,
    "uuid": lambda value: bytes.fromhex(value.hex),
    "enum": lambda value: value.name.encode("utf-8"),
    "json": lambda value: json_text(value).encode("utf-8"),
}

DECODERS = {
    "str": lambda payload: str(payload, "utf-8"),
    "bytes": bytes,
    "int": lambda payload: int.from_bytes(payload, "big", signed=True),
    "float": decode_float,
    "bool": lambda payload: {b"\x00": False, b"\x01": True}[payload],
    "decimal": lambda payload: Decimal(payload.decode("ascii")),
    "date": lambda payload: DAY_ZERO + timedelta(int.from_bytes(payload, "big", signed=True)),
    "datetime": decode_datetime,
    "time": decode_time,
    "timedelta": decode_timedelta,
    "uuid": lambda payload: UUID(hex=payload.hex()),
    "enum": lambda payload: payload.decode("utf-8"),
    "json": json.loads,
    "object": json.loads,
}
