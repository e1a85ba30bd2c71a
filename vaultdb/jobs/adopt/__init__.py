"""Leaving plaintext, or another package's ciphertext, behind."""

from __future__ import annotations
