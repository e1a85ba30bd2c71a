"""Engines that encrypt: make one, or prepare one that exists."""

from __future__ import annotations

from vaultdb.engine.create import create_async_engine, create_engine
from vaultdb.engine.install import install
from vaultdb.engine.plaintext import plaintext_reads

__all__ = ["create_async_engine", "create_engine", "install", "plaintext_reads"]
