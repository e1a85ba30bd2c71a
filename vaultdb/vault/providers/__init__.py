"""The key providers that ship: Vault transit, a key file for development, and memory for tests."""

from __future__ import annotations
