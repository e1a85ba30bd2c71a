"""The audit log: events, chains, checkpoints. No I/O."""

from __future__ import annotations
