"""The sign-in of a Session, or of a Connection without one: the first event of whoever acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from vaultdb.audit.event import Event
from vaultdb.audit.kinds import SIGNED_IN
from vaultdb.orm.scope import acting_for, session_of

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from vaultdb.audit.auditor import Auditor
    from vaultdb.guard.principal import Acting

_signed_in: WeakKeyDictionary[Any, Acting] = WeakKeyDictionary()


def who_acts(auditor: Auditor, connection: Connection) -> Acting:
    """Return who acts, and record their sign-in if this is their first event in the Session.

    It is recorded by itself: they were there, whether or not their transaction commits.

    Raises:
        PrincipalMissing: nobody acts, and no service principal is configured.
        AuditUnavailable: the log has not been written for a while.

    """
    stated = acting_for(connection)
    acting = auditor.require(stated)
    unit = session_of(connection) or connection
    if _signed_in.get(unit) != acting:
        by = "application" if stated is not None else "configuration"
        auditor.add(Event(SIGNED_IN, {"by": by}, acting))
        _signed_in[unit] = acting
    return acting
