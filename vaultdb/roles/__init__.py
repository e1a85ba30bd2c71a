"""Who may do what in PostgreSQL: declared beside the models, applied, and verified as facts."""

from __future__ import annotations
