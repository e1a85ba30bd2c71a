"""SQLAlchemy: encrypted columns, the write interceptor, blind indexes and refusals."""

from __future__ import annotations
