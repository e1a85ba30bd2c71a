"""Re-encrypt the values of a table under the DEKs that write now."""

from __future__ import annotations
