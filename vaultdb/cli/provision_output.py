"""How `vaultdb provision` shows what a set-up found and did."""

from __future__ import annotations

from dataclasses import asdict

import typer

from vaultdb.cli.report import DIFFERS, FAILURE, plural, print_json
from vaultdb.provision.step import State, Step

_DONE = {
    State.CREATE: ("would create", "created"),
    State.CHANGE: ("would change", "changed"),
    State.FOREIGN: ("would leave alone", "left alone"),
}


class Report:
    """Prints each step when it is done, and what it all came to."""

    def __init__(self, *, plan: bool, as_json: bool) -> None:
        self._plan = plan
        self._as_json = as_json

    def __call__(self, step: Step) -> None:
        """Print a step that is done, or, in a plan, would be."""
        if self._as_json or not step.differs:
            return
        print(f"{_DONE[step.state][0 if self._plan else 1]} {step.what}")
        for line in step.detail:
            print("\n".join(f"    {each}" for each in line.splitlines()))

    def end(self, steps: list[Step]) -> None:
        """Print what it came to.

        Raises:
            typer.Exit: a plan that differs, or something that was left alone.

        """
        differing = [step for step in steps if step.differs]
        if self._as_json:
            print_json({"plan": self._plan, "steps": [asdict(step) for step in steps]})
        else:
            same = len(steps) - len(differing)
            print(f"{plural(same, 'object')} {'was' if same == 1 else 'were'} as wanted")
        if self._plan and differing:
            raise typer.Exit(DIFFERS)
        if any(step.state is State.FOREIGN for step in differing):
            raise typer.Exit(FAILURE)
