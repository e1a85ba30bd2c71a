"""Hanging a login source on an engine: a login for each connection, old ones out at checkout."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from vaultdb.db.login.pooled import is_cut
from vaultdb.db.login.refusal import is_refused
from vaultdb.db.login.source import Login, LoginSource

T = TypeVar("T")

GENERATION = "vaultdb.login"
"""Which login a pooled connection used, in the record's `info`."""
_IS_NEW = "vaultdb.new"


def attach_login(engine: Engine, source: LoginSource) -> None:
    """Let `source` say who `engine` logs in as.

    Args:
        engine: on psycopg; the `sync_engine` of an async one.
        source: owned by the caller.

    """
    hook = _Hook(source)
    event.listen(engine, "do_connect", hook.connect)
    event.listen(engine, "checkout", hook.check)


def off_the_loop(work: Callable[[], T]) -> T:
    """Do what may block: under asyncio in a thread, while the loop goes on."""
    if in_greenlet():
        return await_only(asyncio.to_thread(work))
    return work()


def connect_after(
    own: Callable[..., Any],
    dialect: Any,
    record: Any,
    arguments: list[Any],
    parameters: dict[str, Any],
) -> Any:
    """Connect with parameters of our own; SQLAlchemy 2.0 would keep what is put into its own.

    Args:
        own: the `do_connect` listener that calls this; those after it have their say, as without.
        dialect: as it was given to the listener; so the rest, except what differs.
        record: of the pool.
        arguments: for the driver.
        parameters: for the driver.

    """
    listeners = list(dialect.dispatch.do_connect)
    for listener in listeners[listeners.index(own) + 1 :]:
        made = listener(dialect, record, arguments, parameters)
        if made is not None:
            return made
    return dialect.connect(*arguments, **parameters)


class _Hook:
    def __init__(self, source: LoginSource) -> None:
        self._source = source

    def connect(
        self, dialect: Any, record: Any, arguments: list[Any], parameters: dict[str, Any]
    ) -> Any:
        """Connect with the current login, and again with the next when that one is refused."""
        while True:
            login = self._login()
            refusal: psycopg.OperationalError
            try:
                given = _with(parameters, login)
                made = connect_after(self.connect, dialect, record, arguments, given)
            except psycopg.OperationalError as error:
                if not is_refused(error, login.user):
                    raise
                refusal = error
            else:
                if record is not None:
                    record.info[GENERATION] = login.generation
                    record.info[_IS_NEW] = True
                return made
            if not off_the_loop(partial(self._source.refused, login.generation)):
                raise refusal

    def check(self, _connection: Any, record: Any, _proxy: Any) -> None:
        """Have the pool replace a connection of an old login, or one that the server has cut."""
        generation = record.info.get(GENERATION)
        if generation is None or record.info.pop(_IS_NEW, False):
            return  # a new one may be one login behind already; the pool tries only twice
        if self._source.is_retired(generation):
            raise DisconnectionError("the login of this connection was replaced")
        if is_cut(record.driver_connection):
            raise DisconnectionError("the server has ended this connection")

    def _login(self) -> Login:
        if self._source.is_ready():
            return self._source.current()
        return off_the_loop(self._source.current)


def _with(parameters: dict[str, Any], login: Login) -> dict[str, Any]:
    given = {"user": login.user, "password": login.password}
    return parameters | {name: value for name, value in given.items() if value is not None}
