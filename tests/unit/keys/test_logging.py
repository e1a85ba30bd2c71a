"""What an operator reads in the log: the start and the end of trouble, and no secret."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.unit.keys.support import World, eventually
from vaultdb.errors import KeyDenied, KeyUnavailable


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "vaultdb.keys"]


def test_an_outage_is_reported_once_although_cached_keys_serve(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [world.create(tenant) for tenant in ("acme", "globex")]
    keyring = world.keyring()
    keyring.load([row.scope for row in rows])
    world.provider.trouble = KeyUnavailable("vault did not answer")
    for number in range(1, 4):
        world.clock.advance(301 if number == 1 else 6)
        keyring.load([row.scope for row in rows])
        assert eventually(lambda number=number: keyring.counters.refresh_failures >= number)
    world.provider.trouble = None
    world.clock.advance(6)
    keyring.load([row.scope for row in rows])
    assert eventually(lambda: any("again" in line for line in messages(caplog)))
    begun = [line for line in messages(caplog) if "cannot read the data key" in line]
    assert "vault did not answer; those in memory serve for a while" in begun[0]
    assert len(begun) <= len(rows)


def test_a_key_table_that_is_away_is_reported(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.create("acme")
    world.store.trouble = OSError("connection refused")
    for _ in range(3):
        with pytest.raises(KeyUnavailable):
            world.keyring().active("acme", "default")
    assert all("key table cannot be read (OSError)" in line for line in messages(caplog))
    assert len(messages(caplog)) == 3, "once for each keyring"


def test_a_refusal_of_one_tenant_is_not_ended_by_the_keys_of_another(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    acme = world.create("acme")
    world.create("globex")
    world.provider.item_trouble[acme.context()] = KeyDenied("policy")
    keyring = world.keyring()
    for _ in range(3):
        with pytest.raises(KeyDenied):
            keyring.active("acme", "default")
        keyring.active("globex", "default")
        world.clock.advance(2)
    (line,) = messages(caplog)
    assert line == "cannot read the data key of keyset 'default' for tenant 'acme': policy"


def test_nothing_is_printed_when_the_application_does_not_log() -> None:
    code = "from vaultdb.logs import KEYS; KEYS.error('trouble')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
