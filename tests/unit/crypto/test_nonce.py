from __future__ import annotations

import os

from vaultdb.crypto.nonce import nonce_tails


def test_tails_are_cut_from_one_draw_in_order():
    draws = []

    def random(size):
        draws.append(size)
        return bytes(range(size))

    assert nonce_tails(3, _random=random) == [bytes(range(at, at + 12)) for at in (0, 12, 24)]
    assert draws == [36]


def test_nothing_is_kept_between_draws(monkeypatch):
    assert nonce_tails.__kwdefaults__ == {"_random": os.urandom}
    assert nonce_tails(0) == []
    drawn = nonce_tails(1000) + nonce_tails(1000)
    assert len(set(drawn)) == 2000
    assert {len(tail) for tail in drawn} == {12}
