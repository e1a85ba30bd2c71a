"""What the ORM layer tells the audit log: reads, writes, failures, denials, sign-ins."""

from __future__ import annotations
