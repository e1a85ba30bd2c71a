"""Long-running work on keys and rows: rewrap."""

from __future__ import annotations
