"""Each record authenticates all before it, and its key is gone afterwards."""

from __future__ import annotations

import hashlib
import hmac
import os
import pickle
from uuid import UUID

import pytest

from vaultdb.audit.chain import NO_MAC, Chain, evolved, record_mac, row_key_digest, row_key_secret
from vaultdb.errors import AuditUnavailable

FIRST_KEY = bytes(range(32))
CHAIN = UUID("00112233-4455-6677-8899-aabbccddeeff")
AT = "2026-03-01T12:00:00.000000Z"


def test_a_mac_covers_the_record_before_it_and_every_part_of_its_own() -> None:
    # Computed here by hand, from the format as documented.
    said = NO_MAC + CHAIN.bytes + (0).to_bytes(8, "big") + (27).to_bytes(4, "big")
    first = hmac.new(FIRST_KEY, said + AT.encode() + b'{"no":1}', hashlib.sha256).digest()
    second_key = hashlib.sha256(b"vaultdb/audit/evolve/v1" + FIRST_KEY).digest()
    said = first + CHAIN.bytes + (1).to_bytes(8, "big") + (27).to_bytes(4, "big")
    second = hmac.new(second_key, said + AT.encode() + b'{"no":2}', hashlib.sha256).digest()

    chain = Chain(FIRST_KEY, CHAIN)
    records = [chain.link(AT, '{"no":1}'), chain.link(AT, '{"no":2}')]

    assert [record.mac for record in records] == [first, second]
    assert [record.seq for record in records] == [0, 1]


def test_the_first_mac_never_changes() -> None:
    record = Chain(FIRST_KEY, CHAIN).link(AT, '{"event":"chain.opened","no":1000,"v":1}')

    assert record.mac.hex() == GOLDEN_MAC


GOLDEN_MAC = "7a9a382b91d8066c3010576d8d5d0c1d7f517a42c5f614855a10b8e8d179384e"


@pytest.mark.parametrize(
    "changed",
    [
        {"before": b"\x01" * 32},
        {"chain": UUID(int=1)},
        {"seq": 1},
        {"at": "2026-03-01T12:00:00.000001Z"},
        {"body": '{"no":2}'},
        # Bytes that move from the time to the body are not the same record.
        {"at": AT[:-1], "body": 'Z{"no":1}'},
    ],
    ids=["before", "chain", "seq", "at", "body", "moved"],
)
def test_another_record_has_another_mac(changed: dict[str, object]) -> None:
    parts: dict[str, object] = {
        "key": FIRST_KEY,
        "before": NO_MAC,
        "chain": CHAIN,
        "seq": 0,
        "at": AT,
        "body": '{"no":1}',
    }

    def mac(stated: dict[str, object]) -> bytes:
        names = ("key", "before", "chain", "seq")
        return record_mac(*(stated[n] for n in names), at=stated["at"], body=stated["body"])  # type: ignore[arg-type]

    assert mac(parts | changed) != mac(parts)


def test_a_restored_head_links_the_same_place_again() -> None:
    chain, _ = Chain.new()
    chain.link(AT, "{}")
    head = chain.head
    rolled_back = chain.link(AT, '{"no":1}')

    chain.restore(head)
    again = chain.link(AT, '{"no":1}')

    assert again == rolled_back
    assert again.seq == 1


def test_the_key_of_a_record_is_not_kept() -> None:
    chain = Chain(FIRST_KEY, CHAIN)
    chain.link(AT, "{}")

    held = repr([getattr(chain, name) for name in Chain.__slots__])

    assert chain.head.key == evolved(FIRST_KEY)
    assert FIRST_KEY.hex() not in held
    assert repr(FIRST_KEY) not in held


def test_nothing_shows_or_pickles_a_key() -> None:
    chain = Chain(FIRST_KEY, CHAIN)

    assert "key" not in repr(chain.head)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(chain)


def test_a_forked_process_cannot_continue_a_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, _ = Chain.new()
    monkeypatch.setattr(os, "getpid", lambda: -1)

    with pytest.raises(AuditUnavailable, match="after a fork"):
        chain.link(AT, "{}")


def test_a_row_has_another_name_in_every_chain_and_table() -> None:
    one, other = row_key_secret(FIRST_KEY), row_key_secret(evolved(FIRST_KEY))

    names = {
        row_key_digest(one, "public.patient", b"900-12-3456"),
        row_key_digest(other, "public.patient", b"900-12-3456"),
        row_key_digest(one, "public.doctor", b"900-12-3456"),
        row_key_digest(one, "public.patient", b"900-12-3457"),
    }

    assert len(names) == 4
    assert all(len(name) == 34 and name.startswith("h:") for name in names)
