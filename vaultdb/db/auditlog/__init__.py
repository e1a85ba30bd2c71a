"""Writing the audit log to PostgreSQL."""

from __future__ import annotations
