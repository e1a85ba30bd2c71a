"""What commands do: rotate and rewrap, verify, create keys, decrypt one value, doctor."""

from __future__ import annotations
