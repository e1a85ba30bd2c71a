"""What is still readable of a column that is encrypted now, and how it is erased."""

from __future__ import annotations
