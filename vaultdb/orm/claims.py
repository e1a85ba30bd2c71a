"""Telling PostgreSQL who acts: the settings that row-level security policies compare with.

They are set for one transaction each, by a statement ahead of its first one; and again when
somebody else acts, or when a savepoint is rolled back, which takes them back too.

They are no boundary against SQL injection: whoever can run SQL can set them. They stop the
statement that forgot its WHERE.
"""

from __future__ import annotations

TENANT = "vaultdb.tenant"
PRINCIPAL = "vaultdb.principal"


class _Need:
    """Whether any table of this process shows its rows by claims."""

    required = False


def require() -> None:
    """Have every prepared engine tell who acts, from now on."""
    _Need.required = True
