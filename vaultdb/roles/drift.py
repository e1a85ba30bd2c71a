"""Drift: how a database differs from what is wanted, one difference at a time."""

from __future__ import annotations

from dataclasses import dataclass

from vaultdb.roles.comparison import Comparison, subject
from vaultdb.roles.fact import Fact


@dataclass(frozen=True, slots=True, order=True)
class Drift:
    """One difference between a database and what is wanted."""

    fact: Fact
    """What is wrong about it, or, when it is only missing, what is wanted."""
    problem: str
    remedy: str
    """The SQL that ends it; `roles apply` runs it unless it says otherwise."""
    is_repaired: bool = True
    """Whether `roles apply` repairs it; else an operator decides."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two facts about the same thing; either may be None."""

    found: Fact | None
    wanted: Fact | None

    @property
    def fact(self) -> Fact:
        """The fact to name."""
        fact = self.found or self.wanted
        assert fact is not None
        return fact


def differences(comparison: Comparison) -> list[Difference]:
    """Return missing and excess facts, two about the same thing together."""
    wanted = {subject(fact): fact for fact in comparison.missing}
    found = {subject(fact): fact for fact in comparison.excess}
    keys = sorted({**wanted, **found})
    return [Difference(found.get(key), wanted.get(key)) for key in keys]
