"""The life of a data key: who uses it, what takes its place, and when nobody needs it any more."""

from __future__ import annotations
