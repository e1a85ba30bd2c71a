"""Readers of what other packages have encrypted; they write nothing."""

from __future__ import annotations
