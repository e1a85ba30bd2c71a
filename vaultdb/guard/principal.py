"""On whose behalf the application reads and writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from vaultdb.errors import ConfigurationError

LONGEST: Final = 1_000
"""Characters of a name, at most: each event in the audit log repeats it."""

_acting: ContextVar[Acting | None] = ContextVar("vaultdb_acting", default=None)


@dataclass(frozen=True, slots=True)
class Acting:
    """A principal, the tenant it acts for and why.

    Args:
        principal: who asks, as the audit log shall name them; not secret.
        tenant: whose keys are used; None leaves it to the engine.
        purpose: why, in a word; not secret.
        request: the id of the request that it happens in; not secret.

    """

    principal: str
    tenant: str | None = None
    purpose: str | None = None
    request: str | None = None

    def __post_init__(self) -> None:
        stated: dict[str, object] = {
            "principal": self.principal,
            "tenant": self.tenant,
            "purpose": self.purpose,
            "request": self.request,
        }
        principal = stated["principal"]
        if not isinstance(principal, str) or not principal:
            raise ConfigurationError("acting_as needs the name of a principal, such as a user id")
        for name, value in stated.items():
            if value is None:
                continue
            if not isinstance(value, str):
                raise ConfigurationError(f"acting_as({name}=) must be a string; use str()")
            if len(value) > LONGEST:
                raise ConfigurationError(
                    f"acting_as({name}=) has {len(value)} characters, of {LONGEST} at most"
                )


@contextmanager
def acting_as(
    principal: str,
    *,
    tenant: str | None = None,
    purpose: str | None = None,
    request: str | None = None,
) -> Iterator[Acting]:
    """Read and write on somebody's behalf, within a `with` block.

    Blocks nest, and the innermost counts; it inherits the tenant and the request of the block
    around it unless it names others. Each thread and each asyncio task has its own.

    Args:
        principal: who asks, as the audit log shall name them; not secret.
        tenant: whose keys are used; None keeps the tenant of the block around, or the engine's.
        purpose: why, in a word such as "treatment"; not secret.
        request: the id of the request, for the audit log; None keeps that of the block around.

    Raises:
        ConfigurationError: an argument is not a string or too long, or the principal is empty.

    Example:
        >>> with acting_as("dr-jones", purpose="treatment") as acting:
        ...     acting.principal
        'dr-jones'

    """
    outer = _acting.get()
    if outer is not None:
        tenant = outer.tenant if tenant is None else tenant
        request = outer.request if request is None else request
    acting = Acting(principal, tenant, purpose, request)
    token = _acting.set(acting)
    try:
        yield acting
    finally:
        _acting.reset(token)


def current() -> Acting | None:
    """Return who acts in this thread or task, or None outside `acting_as`."""
    return _acting.get()
