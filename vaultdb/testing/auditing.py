"""An auditor that keeps events in memory, so that a test can look at them."""

from __future__ import annotations

from typing import Any

from vaultdb.audit.auditor import AuditMode, required
from vaultdb.audit.event import Event
from vaultdb.errors import AuditUnavailable
from vaultdb.guard.principal import Acting


class RecordingAuditor:
    """Keeps what it is told; rolling a transaction back does not take its events back.

    Args:
        mode: `"strict"` or `"relaxed"`.
        principal: the service principal when nobody acts; None refuses.
        key_limit: how many row keys an event names.

    """

    def __init__(
        self, mode: str = "strict", principal: str | None = None, key_limit: int = 20
    ) -> None:
        self.mode = AuditMode(mode)
        self.key_limit = key_limit
        self.events: list[Event] = []
        """all events, in the order of their recording"""
        self.committed: list[Event] = []
        """those that were committed before anything else went on"""
        self.is_available = True
        """set it to False, and nothing can be recorded"""
        self._principal = principal

    def of(self, name: str) -> list[Event]:
        """Return the events of a kind, such as `data.read`."""
        return [event for event in self.events if event.kind.name == name]

    def require(self, acting: Acting | None) -> Acting:
        """Return who acts, or the service principal."""
        return required(acting, self._principal)

    def commit(self, *events: Event) -> None:
        """Keep events."""
        self.add(*events)
        self.committed += events

    def add(self, *events: Event) -> None:
        """Keep events."""
        if not self.is_available:
            raise AuditUnavailable("the audit log cannot be written")
        self.events += events

    def write(self, connection: Any, *events: Event) -> None:
        """Keep events of a transaction."""
        del connection
        self.add(*events)
