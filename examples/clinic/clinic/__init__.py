"""A small clinic: FastAPI, AsyncSession, two tenants, encrypted patients."""

from __future__ import annotations
