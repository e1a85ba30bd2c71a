from __future__ import annotations

from vaultdb.crypto.subkeys import SubkeyCache


def test_memory_stays_bounded_and_recent_subkeys_stay():
    cache = SubkeyCache(capacity=8)
    for number in range(100):
        cache.keep(bytes([number]), lambda *_: b"")
    assert len(cache) <= 8
    assert cache.find(bytes([99])) is not None
    assert cache.find(bytes([96])) is not None
    assert cache.find(bytes([0])) is None


def test_a_subkey_in_use_survives_others_passing_through():
    cache = SubkeyCache(capacity=8)
    opener = cache.keep(b"mine", b"".join)[b"mine"]
    for number in range(100):
        cache.keep(bytes([number]), lambda *_: b"")
        if b"mine" not in cache.newer:  # the value path's miss
            cache.keep(b"mine", cache.find(b"mine"))
    assert cache.find(b"mine") is opener
