"""One codec per type; `codec_for` finds them."""

from __future__ import annotations
