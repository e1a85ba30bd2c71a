"""PostgreSQL: connections, the key store, the schema of vaultdb itself."""

from __future__ import annotations
