"""The command line: it parses and prints, commands are functions elsewhere."""

from __future__ import annotations

from vaultdb.cli.root import main

__all__ = ["main"]
