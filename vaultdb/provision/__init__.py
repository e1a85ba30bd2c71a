"""Set up a Vault and a PostgreSQL for vaultdb: mounts, policies, roles, logins, certificates."""

from __future__ import annotations
