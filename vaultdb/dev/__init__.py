"""A private OpenBao and PostgreSQL with TLS, for try-out and tests."""

from __future__ import annotations
