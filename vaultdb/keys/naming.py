"""How a scope is called in errors; names of tenants and keysets are not secret."""

from __future__ import annotations

import shlex

from vaultdb.keys.wrapped_key import KeyScope, Purpose


def describe(scope: KeyScope) -> str:
    """Name a scope inside a sentence."""
    tenant = f"tenant {scope.tenant!r}" if scope.tenant else "no tenant"
    subject = f"subject {scope.subject!r} of " if scope.subject else ""
    return f"{scope.purpose} key of keyset {scope.keyset!r} for {subject}{tenant}"


def describe_for_log(scope: KeyScope) -> str:
    """Name a scope in a log, which outlives data subjects and does not name them."""
    return describe(scope._replace(subject="")) + (", for one subject" if scope.subject else "")


def create_command(scope: KeyScope) -> str:
    """Return the command that an officer runs to create the next key of a scope."""
    words = ["vaultdb", "keys", "create", "--keyset", scope.keyset]
    if scope.tenant:
        words += ["--tenant", scope.tenant]
    if scope.purpose is not Purpose.DATA:
        words += ["--purpose", scope.purpose.value]
    if scope.subject:
        words += ["--subject", scope.subject]
    return shlex.join(words)
