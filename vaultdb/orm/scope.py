"""Whose tenant a connection works for: the Session's, which keeps the one it was first used with.

A Session takes in who acts when it begins, at `add()` or the first statement, and keeps it: a
lazy load after the `acting_as` block, or in a FastAPI endpoint that lost its context variables,
still runs for the same tenant. A Session that holds objects of one tenant refuses another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from sqlalchemy import event
from sqlalchemy.orm import Session

from vaultdb.errors import ConfigurationError, StatementRefused
from vaultdb.guard.principal import Acting, current

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from vaultdb.orm.runtime import Runtime

PRINCIPAL_KEY = "vaultdb.principal"
"""In `session.info`: an `Acting`, or the name of a principal; wins over everything else.

Without a tenant it keeps the one of `acting_as` around it, as an inner `acting_as` does.
"""


class SessionScope:
    """What a Session has taken in."""

    __slots__ = ("acting", "tenant")

    def __init__(self) -> None:
        self.acting: Acting | None = None
        self.tenant: str | None = None
        """the tenant of the encrypted values read or written; None before the first"""

    @property
    def bound_to(self) -> str | None:
        """The tenant that the Session's objects belong to, as far as it is known."""
        if self.tenant is not None or self.acting is None:
            return self.tenant
        return self.acting.tenant


_scopes: WeakKeyDictionary[Session, SessionScope] = WeakKeyDictionary()
_sessions: WeakKeyDictionary[Connection, ref[Session]] = WeakKeyDictionary()


def acting_for(connection: Connection) -> Acting | None:
    """Return who acts on this connection: its Session's principal, else the ambient one.

    Raises:
        ConfigurationError: `session.info["vaultdb.principal"]` is not usable.

    """
    session = session_of(connection)
    return current() if session is None else _acting_for_session(session)


def tenant_for(connection: Connection, runtime: Runtime) -> str:
    """Return the tenant of a statement that touches encrypted columns.

    Raises:
        StatementRefused: the Session holds objects of another tenant.

    """
    session = session_of(connection)
    if session is None:
        return _tenant_of(current(), runtime)
    tenant = _tenant_of(_acting_for_session(session), runtime)
    scope = _scope_of(session)
    if scope.bound_to not in (None, tenant) and _holds_objects(session):
        raise StatementRefused(
            f"this Session holds objects of tenant {scope.bound_to!r}: open another Session for "
            f"tenant {tenant!r}, or close this one first"
        )
    scope.tenant = tenant
    return tenant


def _tenant_of(acting: Acting | None, runtime: Runtime) -> str:
    if acting is None or acting.tenant is None:
        return runtime.default_tenant
    return acting.tenant


def _acting_for_session(session: Session) -> Acting | None:
    ambient = _ambient_for_session(session)
    stated = session.info.get(PRINCIPAL_KEY)
    if stated is None:
        return ambient
    acting = _as_acting(stated)
    if acting.tenant is None and ambient is not None:
        return replace(acting, tenant=ambient.tenant)
    return acting


def _ambient_for_session(session: Session) -> Acting | None:
    captured = _scope_of(session).acting
    ambient = current()
    if ambient is None:
        return captured
    if ambient.tenant is None and captured is not None and captured.tenant is not None:
        return replace(ambient, tenant=captured.tenant)
    if captured is not None and captured.tenant != ambient.tenant:
        _take_in(session, ambient)
    return ambient


def _as_acting(stated: Any) -> Acting:
    if isinstance(stated, Acting):
        return stated
    if isinstance(stated, str):
        return Acting(stated)
    raise ConfigurationError(
        f'session.info["{PRINCIPAL_KEY}"] must be a vaultdb.Acting or the name of a principal'
    )


def _scope_of(session: Session) -> SessionScope:
    scope = _scopes.get(session)
    if scope is None:
        scope = _scopes[session] = SessionScope()
    return scope


def session_of(connection: Connection) -> Session | None:
    """Return the Session that a connection works for, while it is in a transaction."""
    found = _sessions.get(connection)
    session = None if found is None else found()
    # A connection given to Session(bind=) outlives the Session's transactions.
    return session if session is not None and session.in_transaction() else None


def _holds_objects(session: Session) -> bool:
    return bool(session.identity_map) or bool(session.new)


def _take_in(session: Session, ambient: Acting) -> None:
    if not _holds_objects(session):
        _scope_of(session).acting = ambient


def _began(session: Session, _transaction: Any, connection: Connection | None = None) -> None:
    """Take in who acts; `add()` begins a transaction, before there is a connection."""
    if connection is not None:
        _sessions[connection] = ref(session)
    ambient = current()
    if ambient is not None and _scope_of(session).acting is None:
        _scope_of(session).acting = ambient


def _ended(session: Session, transaction: Any) -> None:
    """Forget what an emptied Session took in: its next transaction may be another tenant's."""
    if transaction.parent is None and not _holds_objects(session):
        _scopes.pop(session, None)


def follow_sessions() -> None:
    """Listen to all Sessions; a second call changes nothing."""
    for name, listener in (
        ("after_transaction_create", _began),
        ("after_begin", _began),
        ("after_transaction_end", _ended),
    ):
        if not event.contains(Session, name, listener):
            event.listen(Session, name, listener)
