"""Verification hashes as the writers do, only faster."""

from __future__ import annotations

import hmac
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from vaultdb.audit.chain import record_mac
from vaultdb.audit.merkle import hash_of_leaf
from vaultdb.jobs.audit.verify.hashing import ChainHashes, hmac_sha256

SECRETS = st.binary(min_size=32, max_size=32)


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_the_hmac_is_that_of_the_standard_library(key: bytes, said: bytes) -> None:
    assert hmac_sha256(key, said) == hmac.digest(key, said, "sha256")


@given(SECRETS, SECRETS, st.uuids(), st.integers(0, 2**63 - 1), st.tuples(st.text(), st.text()))
def test_mac_and_leaf_are_those_of_the_writers(
    key: bytes, mac: bytes, chain: UUID, seq: int, said: tuple[str, str]
) -> None:
    hashes = ChainHashes(chain.bytes)
    at, body = said
    stored = at.encode(), body.encode()
    assert hashes.mac(key, mac, seq, *stored) == record_mac(key, mac, chain, seq, at=at, body=body)
    assert hashes.leaf(seq, *stored, mac) == hash_of_leaf(chain.bytes, seq, at, body, mac)
