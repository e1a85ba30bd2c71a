"""Pauses grow, vary, and have an end."""

from __future__ import annotations

import pytest

from vaultdb.alembic.patience import LONGEST_PAUSE, Patience
from vaultdb.errors import ConfigurationError


def test_pauses_double_with_a_jitter_of_a_half() -> None:
    patience = Patience(first_pause=2)
    for attempt, pause in ((1, 2), (2, 4), (3, 8)):
        drawn = {patience.pause_after(attempt) for _ in range(50)}
        assert len(drawn) > 1
        assert all(pause * 0.5 <= each <= pause * 1.5 for each in drawn)


def test_no_pause_is_longer_than_the_longest() -> None:
    assert Patience().pause_after(1000) <= LONGEST_PAUSE * 1.5


@pytest.mark.parametrize("given", [{"wait": -1}, {"lock_timeout": -0.1}, {"attempts": 0}])
def test_times_that_cannot_be_are_refused(given: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="seconds from 0 up"):
        Patience(**given)  # type: ignore[arg-type]
