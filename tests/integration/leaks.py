"""Where a value could show: everything that a program prints, logs or stores of an error."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def make(*parts: str) -> str:
    """Put a secret together at run time, so that no source line in a traceback shows it."""
    return "zq".join(parts)


def places(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield what an error shows, by place, for itself and for every error in its chain."""
    seen: set[int] = set()
    pending: list[Any] = [error]
    while pending:
        current = pending.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        kind = type(current).__name__
        yield f"str({kind})", str(current)
        yield f"repr({kind})", repr(current)
        yield f"{kind}.args", repr(current.args)
        yield f"{kind}.__dict__", repr(vars(current))
        yield f"{kind}.__notes__", repr(getattr(current, "__notes__", None))
        diag = getattr(current, "diag", None)
        for name in dir(diag) if diag is not None else ():
            if not name.startswith("_"):
                yield f"{kind}.diag.{name}", repr(getattr(diag, name))
        pending += [current.__cause__, current.__context__, getattr(current, "orig", None)]
    yield "traceback", "".join(traceback.format_exception(error))


def spellings(secret: str) -> list[str]:
    """Return how a secret can be written: as text, as bytes, in hexadecimal."""
    return [secret, secret.encode().hex(), secret.encode().hex().upper(), repr(secret.encode())]


def find(secret: str, shown: str) -> bool:
    return any(spelling in shown for spelling in spellings(secret))


@contextmanager
def no_leak(
    caplog: pytest.LogCaptureFixture, *secrets: str
) -> Iterator[Callable[[], BaseException]]:
    """Run a block that must fail, and look for the secrets in everything that comes of it."""
    caplog.set_level(logging.DEBUG)
    caught: list[BaseException] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            yield lambda: caught[0]
        except Exception as error:  # noqa: BLE001 - every kind is looked at
            caught.append(error)
    assert caught, "the block did not fail, so nothing was tested"
    shown = [
        *places(caught[0]),
        *((f"log {record.name}", record.getMessage()) for record in caplog.records),
        *((f"log {record.name} args", repr(record.args)) for record in caplog.records),
        ("log text", caplog.text),
        *(("warning", str(warning.message)) for warning in warned),
    ]
    for secret in secrets:
        for place, text in shown:
            assert not find(secret, text), f"a secret shows in {place}"
