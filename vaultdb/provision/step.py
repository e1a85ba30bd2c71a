"""What a set-up found and did, one object at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """What is the matter with one object."""

    SAME = "same"
    """it is there, as wanted"""
    CREATE = "create"
    """it was missing"""
    CHANGE = "change"
    """it was there, and differed"""
    FOREIGN = "foreign"
    """it differs and was not made by vaultdb: left as it is"""


@dataclass(frozen=True, slots=True)
class Step:
    """One object of the set-up; holds no secret.

    Args:
        what: which object.
        state: how it was found; what was to be done has been done, unless this is a plan.
        detail: what differed, one line each, or the remedy.

    """

    what: str
    state: State
    detail: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether it was not as wanted."""
        return self.state is not State.SAME


@dataclass(slots=True)
class Progress:
    """Collects the steps, and does them unless this is only a plan.

    Args:
        plan: find out what differs, and change nothing.
        tell: called with each step when it is done.

    """

    plan: bool = False
    tell: Callable[[Step], object] = lambda _: None
    steps: list[Step] = field(default_factory=list)

    def step(
        self,
        what: str,
        state: State,
        action: Callable[[], object] | None = None,
        *,
        detail: Iterable[str] = (),
    ) -> None:
        """Do one thing that is due, and remember it."""
        if action is not None and not self.plan and state in {State.CREATE, State.CHANGE}:
            action()
        done = Step(what, state, tuple(detail))
        self.steps.append(done)
        self.tell(done)
