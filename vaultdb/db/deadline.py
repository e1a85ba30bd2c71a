"""Connections that do not wait for ever for a server that has stopped to answer.

PostgreSQL's own `statement_timeout` needs a server that runs, and the kernel keeps a connection to
a frozen or vanished one open for hours. So the client gives up, and drops the connection.
"""

from __future__ import annotations

from collections.abc import Generator
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Engine, event


class DeadlineConnection(psycopg.Connection[Any]):
    """A psycopg connection that is closed when one answer takes too long."""

    answer_timeout: float
    """Seconds."""

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Wait as psycopg does, within the timeout."""
        try:
            return super().wait(_within(self.answer_timeout, gen), *args, **kwargs)
        except _NoAnswerError:
            self.close()  # an answer that comes later must not be taken for the next one
        raise psycopg.OperationalError(
            f"PostgreSQL did not answer in {self.answer_timeout:g} s; see whether it runs"
        )


class _NoAnswerError(Exception):
    pass


def give_up_after(engine: Engine, seconds: float) -> None:
    """Let each statement of this engine wait no longer than that for its answer.

    Args:
        engine: synchronous, on psycopg; call this after everything else that changes arguments.
        seconds: for one answer; connecting has `connect_timeout`.

    """

    class Limited(DeadlineConnection):
        answer_timeout = seconds

    @event.listens_for(engine, "do_connect")
    def connect(
        _dialect: Any, _record: Any, arguments: list[Any], parameters: dict[str, Any]
    ) -> psycopg.Connection[Any]:
        return Limited.connect(*arguments, **parameters)


def _within(seconds: float, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Pass on what psycopg's waiting loop and its protocol steps say to each other, for a while.

    The loop wakes ten times a second and says that nothing is ready: then is the time to look.
    """
    end = monotonic() + seconds
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and monotonic() > end:
                raise _NoAnswerError
            wanted = steps.send(ready)
    except StopIteration as stop:
        return stop.value
