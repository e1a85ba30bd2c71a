"""Fixtures for keyrings without servers."""

from __future__ import annotations

import pytest

from tests.unit.keys.support import World


@pytest.fixture
def world() -> World:
    """A fake clock, a provider and a key table, all in memory."""
    return World()
