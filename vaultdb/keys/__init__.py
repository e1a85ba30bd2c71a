"""Data keys and the keyring that hands them out; providers and stores are Protocols."""

from __future__ import annotations
