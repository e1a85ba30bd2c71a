"""Writer prefixes: bounded, per process, never shared after a fork."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import threading
import time
import weakref
from uuid import UUID

import pytest

from vaultdb import after_fork
from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.limits import VALUES_PER_PREFIX
from vaultdb.crypto.nonce import nonce_tails
from vaultdb.crypto.value_cipher import ValueCipher

COLUMN = ColumnIdentity("a.b.c", "str")
VALUES = 400

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def cipher():
    return ValueCipher(bytes(32), realm=UUID(int=1), tenant="")


def write(cipher, count=VALUES):
    """The nonces of so many values, written as one statement writes them."""
    return [cipher.encrypt(COLUMN, b"", b"", tail)[18:42] for tail in nonce_tails(count)]


def write_all(cipher, count=VALUES):
    """The same, encrypted in one call."""
    tails = nonce_tails(count)
    envelopes = cipher.encrypt_all(COLUMN, [b""] * count, [b""] * count, tails)
    return [envelope[18:42] for envelope in envelopes]


def prefixes(nonces):
    return {nonce[:12] for nonce in nonces}


def split(raw):
    return [raw[at : at + 24] for at in range(0, len(raw), 24)]


def in_child(fork, cipher, write=write):
    """The nonces that a child made by `fork` writes."""
    reader, sender = os.pipe()
    pid = fork()
    if pid == 0:  # pragma: no cover  # measured in the parent's process only
        try:
            os.write(sender, b"".join(write(cipher)))
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(reader, "rb") as pipe:
        raw = pipe.read()
    os.waitpid(pid, 0)
    return split(raw)


@pytest.mark.parametrize("write", [write, write_all])
def test_a_process_keeps_its_prefix_for_a_bounded_number_of_values(cipher, write):
    first = prefixes(write(cipher, VALUES_PER_PREFIX - 1))
    assert len(first) == 1
    later = write(cipher, VALUES_PER_PREFIX + 1)
    assert len(prefixes(later)) == 2
    assert not first & prefixes(later)


def test_two_ciphers_of_one_dek_draw_their_own_prefix(cipher):
    other = ValueCipher(bytes(32), realm=UUID(int=1), tenant="")
    assert not prefixes(write(cipher)) & prefixes(write(other))


def test_the_prefix_comes_from_the_system_and_nowhere_else():
    drawn = []

    def random(size):
        drawn.append(size)
        return b"p" * size

    cipher = ValueCipher(bytes(32), realm=UUID(int=1), tenant="", _random=random)
    assert prefixes(write(cipher)) == {b"p" * 12}
    assert drawn == [12]


def test_a_forked_child_drops_the_prefix(cipher):
    own = write(cipher)
    children = in_child(os.fork, cipher) + in_child(os.fork, cipher, write_all)
    assert len(prefixes(children)) == 2
    assert not prefixes(own) & prefixes(children)
    assert prefixes(write(cipher)) == prefixes(own)


def test_a_multiprocessing_child_drops_the_prefix(cipher):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    own = write(cipher)
    children = [context.Process(target=lambda: queue.put(write(cipher))) for _ in range(2)]
    for child in children:
        child.start()
    written = [queue.get() for _ in children]
    for child in children:
        child.join()
    assert len(prefixes(own) | prefixes(written[0]) | prefixes(written[1])) == 3


def test_a_c_level_fork_that_skips_pythons_handlers_drops_the_prefix_too(cipher, monkeypatch):
    libc_fork = ctypes.PyDLL(None).fork  # holds the GIL and runs no at-fork handler
    monkeypatch.setattr(
        after_fork, "_living", []
    )  # should the handler run after all, it finds nothing
    own = write(cipher)
    children = in_child(libc_fork, cipher) + in_child(libc_fork, cipher, write_all)
    assert len(prefixes(children)) == 2
    assert not prefixes(own) & prefixes(children)
    assert len(set(own + children)) == 3 * VALUES


def test_what_the_fork_handler_calls_drops_the_prefix_alone(cipher):
    before = prefixes(write(cipher))
    cipher.reset_after_fork()
    assert not before & prefixes(write(cipher))


def test_the_handlers_list_does_not_keep_a_cipher_alive():
    reference = weakref.ref(ValueCipher(bytes(32), realm=UUID(int=1), tenant=""))
    gc.collect()
    assert reference() is None


def test_threads_never_share_a_nonce_and_never_overrun_a_prefix(cipher):
    gate = threading.Barrier(8)
    written = [[] for _ in range(8)]

    def work(number):
        gate.wait()
        for _ in range(25):
            written[number].extend(write(cipher, 500))
            written[number].extend(write_all(cipher, 500))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nonces = [nonce for part in written for nonce in part]
    assert len(set(nonces)) == len(nonces) == 200_000
    uses = dict.fromkeys(prefixes(nonces), 0)
    for nonce in nonces:
        uses[nonce[:12]] += 1
    assert max(uses.values()) <= VALUES_PER_PREFIX


def test_threads_that_read_many_prefixes_at_once_read_right():
    writers = [ValueCipher(bytes(32), realm=UUID(int=1), tenant="") for _ in range(600)]
    frames = {
        w.encrypt(COLUMN, bytes([n % 256]) * 9, b"", bytes(12)): bytes([n % 256]) * 9
        for n, w in enumerate(writers)
    }
    reader = ValueCipher(bytes(32), realm=UUID(int=1), tenant="")
    wrong = []

    def read():
        wrong.extend(
            envelope
            for envelope, frame in frames.items()
            if reader.decrypt(COLUMN, envelope, b"") != frame
        )

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    for thread in threads:
        thread.join(deadline - time.monotonic())
        assert not thread.is_alive()
    assert wrong == []
