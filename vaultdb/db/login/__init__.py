"""Who an engine logs in as: a fixed login, one leased from Vault, or one that Vault rotates."""

from __future__ import annotations
