"""One codec per type; :func:`vaultdb.crypto.codec.codec_for` finds them."""

from __future__ import annotations
