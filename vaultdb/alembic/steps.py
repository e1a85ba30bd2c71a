"""The revisions of one run, one after the other: which are done, which is running, how long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from vaultdb.alembic import facts
from vaultdb.alembic.session import Session, Step
from vaultdb.roles.operations import record

NOT_RECORDED = (
    "not recorded in the audit schema: there is no table vaultdb_audit.operation that"
    " migrations may write to; run: vaultdb roles apply"
)


class Steps:
    """Takes the place of the function that gives Alembic its steps; survives a second attempt.

    Args:
        session: is told what happens.
        given: the function of the Alembic command, called once.

    """

    def __init__(self, session: Session, given: Callable[..., Iterable[Any]]) -> None:
        self._session = session
        self._given = given
        self._steps: list[Any] | None = None
        self._done = 0

    @property
    def went_up(self) -> bool:
        """Whether revisions were applied, or there were none to apply, revert or stamp."""
        return all(step.info.is_upgrade and not step.info.is_stamp for step in self._steps or ())

    def __call__(self, heads: tuple[str, ...], migration: Any) -> Iterator[Any]:
        """Give the steps that are not committed yet."""
        if self._steps is None:
            self._steps = list(self._given(heads, migration))
        session = self._session
        while self._done < len(self._steps):
            step = self._steps[self._done]
            session.running, session.has_committed = _revision(step.info), False
            session.began(session.tree, session.running)
            start = perf_counter()
            yield step  # Alembic asks for the next one when this one is committed
            done = Step(
                session.tree,
                session.running,
                _title(step),
                perf_counter() - start,
                step.info.is_upgrade,
            )
            self._done += 1
            session.running = None
            session.steps.append(done)
            session.ended(done)


def note_in_audit(session: Session, schemas: set[str]) -> Callable[..., None]:
    """Return the hook that records each revision in its own transaction."""

    def note(*, step: Any, **_: Any) -> None:
        if session.is_preview:
            return
        found = facts.of(session.connection, schemas, session.names)
        action = "migrate up" if step.is_upgrade else "migrate down"
        detail = {
            "tree": session.tree,
            "revisions": list(step.up_revision_ids),
            "stamped": step.is_stamp,
            "login": session.login,
            "owner": session.owner,
            "facts_sha256": facts.digest(found),
        }
        revision = _revision(step)
        if not record(session.connection, action, f"{session.tree} {revision}", detail):
            session.say(NOT_RECORDED)

    return note


def _revision(info: Any) -> str:
    return ",".join(info.up_revision_ids)


def _title(step: Any) -> str:
    lines = (step.doc or "").splitlines()
    return lines[0].rstrip(".").lower() if lines else ""
