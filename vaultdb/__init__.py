"""Encryption at rest for SQLAlchemy and PostgreSQL, with keys that stay in Vault."""

from __future__ import annotations
