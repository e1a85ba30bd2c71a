"""The auditor of an engine: every event of the process goes into one log through it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from vaultdb.after_fork import reset_in_children
from vaultdb.audit.auditor import AuditMode, required
from vaultdb.audit.chain import KEY_SIZE, Chain
from vaultdb.audit.event import Event, Identity, timestamp
from vaultdb.audit.keys import AuditKeys
from vaultdb.audit.kinds import FIRST_OWN_NUMBER
from vaultdb.db.auditlog.business import Business
from vaultdb.db.auditlog.chains import Chains
from vaultdb.db.auditlog.flusher import Flusher
from vaultdb.db.auditlog.heartbeat import Heartbeat
from vaultdb.db.auditlog.outbox import Outbox, Stamped
from vaultdb.db.auditlog.pool import CONNECTIONS, LogPool
from vaultdb.db.auditlog.process import Process
from vaultdb.db.auditlog.sending import Sender
from vaultdb.db.login.attach import off_the_loop
from vaultdb.db.login.credentials import Credentials
from vaultdb.errors import ConfigurationError, VaultDBError
from vaultdb.guard.principal import Acting
from vaultdb.logs import AUDIT
from vaultdb.settings import Settings
from vaultdb.vault.at_exit import at_exit, follow_process_pools

_NOBODY: Final = Identity("")

LARGEST: Final = 65_536
"""Bytes of the JSON of an application's event, at most."""


class PostgresAuditor:
    """An `Auditor` that writes to PostgreSQL; safe for threads, forks and asyncio.

    Making one does no I/O. `write` needs `follow_transactions` on the engine of the connection.

    Args:
        settings: the database, the realm, and the `[audit]` section, whose mode is not off.
        keys: certify this process.
        credentials: share these with an engine; the caller closes them, later.

    """

    def __init__(
        self, settings: Settings, keys: AuditKeys, credentials: Credentials | None = None
    ) -> None:
        audit = settings.audit
        self.mode = AuditMode(settings.audit_mode)
        self.key_limit = audit.key_limit
        self._principal = audit.principal
        process = Process(str(settings.realm), keys)
        self._own = Chains(process, age=audit.chain_age)
        self._others = Chains(process, age=audit.chain_age)
        self._pool = LogPool(settings, credentials)
        self._sender = Sender(self._pool, self._own, self._stored)
        self._business = Business(self._others, self._stored)
        self._heartbeat = Heartbeat(audit.heartbeat, self._own, self._others)
        self._outbox = Outbox(
            self._sender.send,
            senders=CONNECTIONS,
            capacity=audit.spool,
            flush_after=audit.flush_after,
        )
        self._flusher = Flusher(self)
        self.reset_after_fork()
        reset_in_children(self)
        _living.add(self)

    def require(self, acting: Acting | None) -> Acting:
        """Return who acts: as given, or the configured service principal.

        Raises:
            PrincipalMissing: nobody acts, and no service principal is configured.

        """
        return required(acting, self._principal)

    def commit(self, *events: Event) -> None:
        """Record events, and return when they are committed; under asyncio the loop goes on.

        Raises:
            AuditUnavailable: they could not be recorded; the caller must release nothing.
            ConfigurationError: an event of the application is too large, or not JSON.

        """
        if events:
            stamped = _stamped(events)
            off_the_loop(lambda: self._outbox.commit(stamped))

    def add(self, *events: Event) -> None:
        """Record events soon, in a batch with others; waits only if too many wait already.

        Raises:
            AuditUnavailable: too many wait already, because the log cannot be written.
            ConfigurationError: an event of the application is too large, or not JSON.

        """
        if events:
            stamped = _stamped(events)
            if self._outbox.is_full:
                off_the_loop(lambda: self._outbox.add(stamped))
            else:
                self._outbox.add(stamped)
            if not self._flusher.runs:
                self._start()

    def write(self, connection: Any, *events: Event) -> None:
        """Record events in the transaction of a SQLAlchemy connection: they commit together.

        Raises:
            AuditUnavailable: they cannot be recorded; the transaction must not be committed.
            ConfigurationError: an event of the application is too large, or not JSON.

        """
        if events:
            _check(events)
            if not connection.in_transaction():
                connection.begin()  # as a statement would, or its commit() would do nothing
            self._business.write(connection.connection, events)

    def close(self) -> None:
        """Send what waits in memory, close chains and connections; a later use opens others."""
        if self._pid != os.getpid():
            return
        self._flusher.stop()
        try:
            self._outbox.flush()
            self._sender.close([*self._own.take_all(), *self._others.take_all()], "stopped")
        except VaultDBError as error:
            AUDIT.error("%s; %d events that waited in memory are lost", error, self.spooled)
        self._pool.close()

    @property
    def spooled(self) -> int:
        """Events in memory that nobody waits for: what a crash would lose now."""
        return self._outbox.spooled

    def reset_after_fork(self) -> None:
        """Start over in a child: the parent records what it was told."""
        self._pid = os.getpid()
        self._outbox.reset_after_fork()
        self._heartbeat.reset_after_fork()
        self._flusher.reset_after_fork()
        self.changed = self._outbox.changed

    def wait_for_work(self) -> float | None:
        """Return the seconds until a batch or a heartbeat is due; None if there is neither."""
        due = (self._outbox.due_in(), self._heartbeat.due_in())
        return min((seconds for seconds in due if seconds is not None), default=None)

    def do(self) -> None:
        """Send what is due.

        Raises:
            VaultDBError: it cannot be sent now, and stays in memory.

        """
        with self.changed:
            beat = self._heartbeat.beat()
            if beat is not None:
                self._outbox.add_at_once(_stamped([beat]))
        self._outbox.flush()
        self._sender.close([*self._own.take_old(), *self._others.take_old()], "replaced")

    def __repr__(self) -> str:
        return f"<PostgresAuditor {self.mode.value}>"

    def _stored(self) -> None:
        if self._heartbeat.is_wanted and self._flusher.runs:
            return
        with self.changed:
            self._heartbeat.want()
            self.changed.notify_all()
        self._start()

    def _start(self) -> None:
        follow_process_pools()
        with self.changed:
            self._flusher.start()


def _stamped(events: Sequence[Event]) -> list[Stamped]:
    _check(events)
    now = timestamp()
    return [(now, event) for event in events]


def _check(events: Sequence[Event]) -> None:
    """Refuse what could never be written before anybody else's events wait behind it."""
    for event in events:
        if event.kind.number >= FIRST_OWN_NUMBER:
            size = len(event.body(_NOBODY, Chain(bytes(KEY_SIZE), UUID(int=0))))
            if size > LARGEST:
                raise ConfigurationError(
                    f"the audit event {event.kind.name!r} has {size} bytes, of {LARGEST} at most"
                )


_living: weakref.WeakSet[PostgresAuditor] = weakref.WeakSet()


@at_exit
def _close_all() -> None:
    for auditor in list(_living):
        auditor.close()
