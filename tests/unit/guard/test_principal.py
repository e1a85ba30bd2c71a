"""Who acts, in this thread and task."""

from __future__ import annotations

import asyncio
import threading

import pytest

from vaultdb.errors import ConfigurationError
from vaultdb.guard.principal import Acting, acting_as, current


def test_nobody_acts_outside_of_a_block():
    assert current() is None


def test_a_block_names_who_acts_and_ends():
    with acting_as("dr-jones", tenant="acme", purpose="treatment") as acting:
        assert current() is acting
        assert acting == Acting("dr-jones", "acme", "treatment")
    assert current() is None


def test_a_block_ends_when_it_raises():
    with pytest.raises(ZeroDivisionError), acting_as("dr-jones"):
        1 / 0  # noqa: B018
    assert current() is None


def test_an_inner_block_wins_and_keeps_the_tenant_unless_it_names_one():
    with acting_as("dr-jones", tenant="acme", purpose="treatment"):
        with acting_as("audit-bot"):
            assert current() == Acting("audit-bot", "acme", None)
        with acting_as("dr-smith", tenant="globex"):
            assert current() == Acting("dr-smith", "globex", None)
        assert current() == Acting("dr-jones", "acme", "treatment")


def test_a_thread_starts_without_a_principal():
    seen = []
    with acting_as("dr-jones"):
        thread = threading.Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
    assert seen == [None]


async def _report(principal, tenant):
    with acting_as(principal, tenant=tenant):
        await asyncio.sleep(0)
        return current()


def test_tasks_that_take_turns_keep_their_own_principals():
    async def both():
        return await asyncio.gather(_report("a", "acme"), _report("b", "globex"))

    assert asyncio.run(both()) == [Acting("a", "acme", None), Acting("b", "globex", None)]


@pytest.mark.parametrize("principal", ["", None, 7, b"dr-jones"])
def test_a_principal_is_a_name(principal):
    with pytest.raises(ConfigurationError, match="name of a principal"), acting_as(principal):
        pass


@pytest.mark.parametrize("option", ["tenant", "purpose"])
def test_tenant_and_purpose_are_strings(option):
    with pytest.raises(ConfigurationError, match=option), acting_as("dr-jones", **{option: 7}):
        pass


@pytest.mark.parametrize("option", ["tenant", "purpose", "request"])
def test_a_name_that_would_fill_the_audit_log_is_refused(option):
    with acting_as("d" * 1_000, **{option: "x" * 1_000}):
        pass
    with pytest.raises(ConfigurationError, match="has 1001 characters"), acting_as("d" * 1_001):
        pass
    with (
        pytest.raises(ConfigurationError, match=option),
        acting_as("dr-jones", **{option: "x" * 1_001}),
    ):
        pass
