"""Events of the application itself."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from vaultdb.audit.event import Event, Json
from vaultdb.audit.kinds import EventKind
from vaultdb.errors import NotPrepared


@runtime_checkable
class Emitting(Protocol):
    """What hangs on an engine that vaultdb prepared."""

    def emit(self, target: Any, event: Event) -> None:
        """Record an event of the application."""
        ...


def emit(target: Any, kind: EventKind, **fields: Json) -> None:
    """Record an event of the application.

    With a Session or a Connection it becomes part of the transaction, and commits or rolls back
    with it. With an Engine it is committed before `emit` returns. Of an AsyncSession, call it as
    `await session.run_sync(vaultdb.audit.emit, kind, ...)` or through a lambda.

    Args:
        target: a SQLAlchemy Session, Connection or Engine that vaultdb prepared.
        kind: made by `own_kind`.
        fields: fields of that kind; never a value of an encrypted column.

    Raises:
        ConfigurationError: a field that the kind does not have or that is not JSON, or fields
            of more than 64 KiB.
        PrincipalMissing: nobody acts, and no service principal is configured.
        AuditUnavailable: the event could not be recorded.
        NotPrepared: vaultdb does not know the engine.

    """
    bind = target.get_bind() if hasattr(target, "get_bind") else target
    runtime: object = getattr(getattr(bind, "dialect", None), "vaultdb_runtime", None)
    if not isinstance(runtime, Emitting):
        raise NotPrepared(
            "the audit log takes events of a Session, Connection or Engine that vaultdb made"
        )
    runtime.emit(target, Event(kind, fields))
