"""Numbers that no writer states; verification names the record and goes on."""

from __future__ import annotations

import secrets
from uuid import UUID

import pytest

from tests.fixtures.postgres import Database
from tests.threats import audit_clinic
from tests.threats.audit_clinic import Attack, Clinic, verified

clinic, copy, attack = audit_clinic.clinic, audit_clinic.copy, audit_clinic.attack


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("seq", ["1e999", "Infinity", "NaN", "-1e999"])
def test_a_heartbeat_with_an_endless_number_is_named(
    clinic: Clinic,
    copy: Database,
    attack: Attack,
    seq: str,
    offline: bool,
) -> None:
    chain = UUID(bytes=secrets.token_bytes(16))
    attack(
        "INSERT INTO vaultdb_audit.chain (chain, opening) VALUES (%(chain)s, 'mine')", chain=chain
    )
    attack(
        "INSERT INTO vaultdb_audit.event (chain, seq, at, body, mac) VALUES (%(chain)s, 1,"
        " '2026-11-23T03:42:26.123456Z', %(body)s, %(mac)s)",
        chain=chain,
        body=f'{{"chains":[{{"chain":"{chain.hex}","seq":{seq}}}],"event":"chain.heartbeat"}}',
        mac=bytes(32),
    )

    found = verified(copy, offline=offline)

    assert "forged" in {each.kind for each in found.findings.problems if each.chain == chain}
