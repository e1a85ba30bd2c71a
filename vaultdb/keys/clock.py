"""The clock that key lifetimes are measured with."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

Clock = Callable[[], float]

BOOT_TIME: Clock = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic
)
"""Seconds since boot, counting sleep: a laptop that slept for an hour wakes up without keys.

`CLOCK_MONOTONIC` stands still during a suspend on Linux, and the wall clock can be set back.
"""
