"""Rules for migrations that nobody else has; `check` finds what breaks them."""

from __future__ import annotations
