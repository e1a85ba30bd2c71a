"""The tree of RFC 6962, checked against a second implementation that follows its text."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultdb.audit.chain import Record
from vaultdb.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash

RECORD = Record(UUID(int=1), 7, "2026-03-01T12:00:00.000000Z", '{"no":2000}', bytes(32))

CT_LEAVES = [
    bytes.fromhex(text) for text in ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
] + [bytes.fromhex("606162636465666768696a6b6c6d6e6f")]
CT_ROOT = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
"""The test tree of Certificate Transparency, and its root."""


def tree_hash(leaves: list[bytes]) -> bytes:
    """Follow section 2.1 of RFC 6962 literally."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = tree_hash(leaves[:split]), tree_hash(leaves[split:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_the_root_is_that_of_certificate_transparency() -> None:
    frontier = Frontier()
    for leaf in CT_LEAVES:
        frontier.add(hashlib.sha256(b"\x00" + leaf).digest())

    assert frontier.root().hex() == CT_ROOT


def test_an_empty_tree_has_the_hash_of_nothing_as_root() -> None:
    assert Frontier().root() == EMPTY_ROOT == hashlib.sha256().digest()


@given(sizes=st.lists(st.integers(0, 70), min_size=2, max_size=2).map(sorted))
def test_a_stored_frontier_continues_as_if_it_had_never_stopped(sizes: list[int]) -> None:
    leaves = [hashlib.sha256(bytes((number,))).digest() for number in range(sizes[1])]
    frontier = Frontier()
    for leaf in leaves[: sizes[0]]:
        frontier.add(leaf)

    frontier = Frontier.load(frontier.size, frontier.dump())
    for leaf in leaves[sizes[0] :]:
        frontier.add(leaf)

    assert frontier.size == sizes[1]
    assert frontier.root() == tree_hash(leaves)


@pytest.mark.parametrize(("size", "length"), [(1, 0), (3, 32), (-1, 0), (4, 64), (1, 33)])
def test_bytes_that_cannot_be_a_frontier_are_refused(size: int, length: int) -> None:
    with pytest.raises(ValueError, match="not the frontier"):
        Frontier.load(size, bytes(length))


@pytest.mark.parametrize(
    "changed",
    [
        {"chain": UUID(int=2)},
        {"seq": 8},
        {"at": "2026-03-01T12:00:00.000001Z"},
        {"body": '{"no":2001}'},
        {"mac": b"\x01" * 32},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_leaf_covers_every_part_of_a_record(changed: dict[str, object]) -> None:
    assert leaf_hash(replace(RECORD, **changed)) != leaf_hash(RECORD)  # type: ignore[arg-type]


def test_the_hash_of_a_leaf_never_changes() -> None:
    assert leaf_hash(RECORD).hex() == GOLDEN_LEAF


GOLDEN_LEAF = "8c73b1cf93d11f8fcccff970310c74a228a2a6b0b4d3a5b5ac84eb92d8f15591"
