"""Events of the application, in the transaction of its Session or by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from vaultdb.audit.auditor import AuditMode, Auditor
from vaultdb.audit.event import Event
from vaultdb.guard.principal import current
from vaultdb.orm.auditing.sign_in import who_acts


def emit_event(auditor: Auditor, target: Any, event: Event) -> None:
    """Record an event of the application; see `vaultdb.audit.emit`."""
    if auditor.mode is AuditMode.OFF:
        return
    connection = target.connection() if isinstance(target, Session) else target
    if not isinstance(connection, Connection):
        auditor.commit(replace(event, acting=auditor.require(current())))
        return
    auditor.write(connection, replace(event, acting=who_acts(auditor, connection)))
