"""Jobs over the audit log: sign checkpoints, verify, query, report, export, drop old months."""

from __future__ import annotations
