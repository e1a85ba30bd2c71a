"""Bytes in, bytes out: ciphers, the stored formats and typed codecs, without any I/O."""

from __future__ import annotations
