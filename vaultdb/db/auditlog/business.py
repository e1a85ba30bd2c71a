"""Events in the transactions that they tell about: they commit together, or neither does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from vaultdb.audit.event import Event, timestamp
from vaultdb.db.auditlog.chains import Chains, Held
from vaultdb.db.auditlog.inserting import insert_chain, insert_events
from vaultdb.db.auditlog.pending import pending_of
from vaultdb.db.auditlog.pool import log_failures
from vaultdb.db.login.attach import off_the_loop

_MAY_HAVE_COMMITTED = ("08", "57")
"""Classes of SQLSTATE with which a session ends: the COMMIT may have been carried out."""


class Business:
    """Writes events on the application's own connections.

    Args:
        chains: for those connections.
        tell: called when events were stored.

    """

    def __init__(self, chains: Chains, tell: Callable[[], None]) -> None:
        self._chains = chains
        self._tell = tell

    def write(self, lent: Any, events: Sequence[Event]) -> None:
        """Keep events until the transaction commits; in AUTOCOMMIT write them at once.

        Args:
            lent: the pool's connection.
            events: in order.

        Raises:
            AuditUnavailable: they could not be written at once.

        """
        if lent.driver_connection.autocommit:
            self.commit_with(lent, events, lambda: None)
        else:
            pending_of(lent).add(self, events)

    def commit_with(
        self,
        lent: Any,
        events: Sequence[Event],
        commit: Callable[[], None],
        *,
        is_final: bool = True,
    ) -> None:
        """Write events on a connection, and commit them together with its transaction.

        Raises:
            AuditUnavailable: they could not be written; nothing is committed.

        """
        login = lent.driver_connection.info.user
        if not self._chains.has(login):
            with log_failures():
                off_the_loop(lambda: self._chains.prepare(login))
        with self._chains.borrowed(login, reusable=is_final) as held:
            before = held.chain.head
            try:
                _insert(lent, held, events)
            except BaseException as error:
                if not lent.driver_connection.autocommit:
                    held.chain.restore(before)  # without a COMMIT nothing was stored
                if isinstance(error, Exception):
                    _roll_back(lent)
                raise
            try:
                commit()
            except psycopg.Error as error:
                if _was_rolled_back(error):
                    held.chain.restore(before)
                raise
        self._tell()


def _insert(lent: Any, held: Held, events: Sequence[Event]) -> None:
    now = timestamp()
    with log_failures():
        records = held.link((now, event) for event in events)
        cursor = lent.cursor()
        try:
            if held.opening is not None:
                insert_chain(cursor, held.opening)
            insert_events(cursor, records)
        finally:
            cursor.close()


def _roll_back(lent: Any) -> None:
    """End the transaction: after a COMMIT that failed SQLAlchemy's pool believes that it has."""
    try:
        lent.rollback()
    except psycopg.Error:
        lent.invalidate()  # gone, or in two phases


def _was_rolled_back(error: psycopg.Error) -> bool:
    """Return whether the server said so, and not only that the connection is gone."""
    return error.sqlstate is not None and not error.sqlstate.startswith(_MAY_HAVE_COMMITTED)
