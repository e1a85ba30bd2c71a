"""Where signed checkpoints and records are kept, out of reach of the database's administrators."""

from __future__ import annotations
