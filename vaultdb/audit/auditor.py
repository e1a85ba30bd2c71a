"""What the rest of vaultdb asks of the audit log."""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol, runtime_checkable

from vaultdb.audit.event import Event
from vaultdb.errors import PrincipalMissing
from vaultdb.guard.principal import Acting


class AuditMode(Enum):
    """How reads are recorded; writes always are, in their own transaction."""

    STRICT = "strict"
    """The intent is committed before plaintext is released."""
    RELAXED = "relaxed"
    """In batches, but for columns that are declared sensitive."""
    OFF = "off"


@runtime_checkable
class Auditor(Protocol):
    """Writes audit events, from any thread."""

    @property
    def mode(self) -> AuditMode:
        """How reads are recorded."""
        ...

    @property
    def key_limit(self) -> int:
        """How many row keys an event names at most."""
        ...

    def require(self, acting: Acting | None) -> Acting:
        """Return who acts: as given, or the configured service principal.

        Raises:
            PrincipalMissing: nobody acts, and no service principal is configured.

        """
        ...

    def commit(self, *events: Event) -> None:
        """Record events on the log's own connection, and return when they are committed.

        One statement, hence one round trip.

        Raises:
            AuditUnavailable: they could not be recorded; the caller must release nothing.

        """
        ...

    def add(self, *events: Event) -> None:
        """Record events soon, in a batch with others.

        Raises:
            AuditUnavailable: too many wait already, because the log cannot be written.

        """
        ...

    def write(self, connection: Any, *events: Event) -> None:
        """Record events in the transaction of a SQLAlchemy connection: they commit together.

        Raises:
            AuditUnavailable: they cannot be recorded; the transaction must not be committed.

        """
        ...


class NullAuditor:
    """The auditor where no log is kept."""

    mode = AuditMode.OFF
    key_limit = 0

    def require(self, acting: Acting | None) -> Acting:
        """Return who acts, or nobody in particular."""
        return acting or Acting("nobody")

    def commit(self, *events: Event) -> None:
        """Record nothing."""

    def add(self, *events: Event) -> None:
        """Record nothing."""

    def write(self, connection: Any, *events: Event) -> None:
        """Record nothing."""


def required(acting: Acting | None, service: str | None) -> Acting:
    """Return who acts, or the service principal.

    Raises:
        PrincipalMissing: neither is known.

    """
    if acting is not None:
        return acting
    if service is None:
        raise PrincipalMissing(
            "nobody acts, and the audit log must name who does: "
            "use `with vaultdb.acting_as(...)`, or set principal in [audit] for a service"
        )
    return Acting(service)
