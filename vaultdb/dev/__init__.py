"""A private OpenBao and a private PostgreSQL, both with TLS, for trying out and for tests."""

from __future__ import annotations
