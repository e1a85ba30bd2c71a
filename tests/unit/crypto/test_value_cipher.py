"""One value under one DEK: what decrypts, and that nothing else does."""

from __future__ import annotations

import os
from itertools import permutations
from uuid import UUID

import pytest

from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.nonce import nonce_tails
from vaultdb.crypto.row_binding import COLUMN_ONLY, KeyTag, row_binding
from vaultdb.crypto.value_cipher import ValueCipher
from vaultdb.errors import DecryptionError

DEK = bytes(range(32))
REALM = UUID(int=1)
COLUMN = ColumnIdentity("public.patient.ssn", "str")
ROW = row_binding([(KeyTag.INTEGER, bytes(8))])
FRAME = b"\x00\x01999-17-5017"


def cipher_for(dek=DEK, realm=REALM, tenant="acme"):
    return ValueCipher(dek, realm=realm, tenant=tenant)


@pytest.fixture
def cipher():
    return cipher_for()


@pytest.fixture
def envelope(cipher):
    return cipher.encrypt(COLUMN, FRAME, ROW, os.urandom(12))


def refusal(cipher, envelope, column=COLUMN, row=ROW):
    """The reason code, after checking that the failure tells nothing else."""
    with pytest.raises(DecryptionError) as caught:
        cipher.decrypt(column, envelope, row)
    assert str(caught.value) == "the stored value cannot be decrypted"
    assert caught.value.args == ("the stored value cannot be decrypted",)
    assert caught.value.__cause__ is caught.value.__context__ is None
    return caught.value.reason


def test_an_envelope_is_magic_suite_key_id_nonce_ciphertext_and_tag(cipher):
    tail = b"tail of 12 b"
    envelope = cipher.encrypt(COLUMN, FRAME, ROW, tail)
    assert envelope[:2] == b"\xf6\x01"
    assert envelope[2:18] == cipher.key_id
    assert envelope[30:42] == tail
    assert len(envelope) == 58 + len(FRAME)


def test_a_value_decrypts_where_it_was_encrypted_and_in_another_process_too(cipher, envelope):
    assert cipher.decrypt(COLUMN, envelope, ROW) == FRAME
    assert cipher_for().decrypt(COLUMN, envelope, ROW) == FRAME
    assert cipher_for().decrypt(COLUMN, bytearray(envelope), ROW) == FRAME
    assert cipher.decrypt(COLUMN, bytearray(envelope), ROW) == FRAME
    assert cipher.decrypt(COLUMN, memoryview(envelope), ROW) == FRAME


@pytest.mark.parametrize("size", [0, 2, 3, 17, 4096, (1 << 20) + 4098])
def test_frames_of_any_size_come_back(cipher, size):
    frame = os.urandom(size)
    (tail,) = nonce_tails(1)
    envelope = cipher.encrypt(COLUMN, frame, COLUMN_ONLY, tail)
    if size >= 2:
        assert cipher_for().decrypt(COLUMN, envelope, COLUMN_ONLY) == frame
    else:  # no frame is that short, so neither is an envelope
        assert refusal(cipher_for(), envelope, row=COLUMN_ONLY) == "malformed"


def test_no_single_bit_can_be_flipped(cipher, envelope):
    reasons = set()
    for warm in (cipher, cipher_for()):
        for position in range(len(envelope) * 8):
            flipped = bytearray(envelope)
            flipped[position // 8] ^= 1 << position % 8
            reasons.add(refusal(warm, bytes(flipped)))
    assert reasons == {"malformed", "suite", "wrong key", "bad tag"}


def test_no_truncation_and_no_extension_is_accepted(cipher, envelope):
    for warm in (cipher, cipher_for()):
        for size in range(len(envelope)):
            assert refusal(warm, envelope[:size]) in {"malformed", "bad tag"}
            assert refusal(warm, envelope[size + 1 :]) in {"malformed", "suite", "wrong key"}
        for size in (1, 16, 60, 1_100_000):
            assert refusal(warm, envelope + bytes(size)) in {"malformed", "bad tag"}
            assert refusal(warm, bytes(size) + envelope) in {"malformed", "bad tag"}


@pytest.mark.parametrize("other", [None, 7, "text", b"", b"plain", [], b"\xf6\x01" * 40])
def test_what_is_not_an_envelope_is_the_same_error(cipher, other):
    assert refusal(cipher, other) in {"malformed", "wrong key"}


@pytest.mark.parametrize(
    ("other", "column", "row"),
    [
        (cipher_for(tenant="globex"), COLUMN, ROW),
        (cipher_for(tenant=""), COLUMN, ROW),
        (cipher_for(realm=UUID(int=2)), COLUMN, ROW),
        (cipher_for(), ColumnIdentity("public.patient.iban", "str"), ROW),
        (cipher_for(), ColumnIdentity("public.doctor.ssn", "str"), ROW),
        (cipher_for(), ColumnIdentity("audit.patient.ssn", "str"), ROW),
        (cipher_for(), ColumnIdentity("public.patient.ssn", "bytes"), ROW),
        (cipher_for(), COLUMN, row_binding([(KeyTag.INTEGER, bytes(7) + b"\1")])),
        (cipher_for(), COLUMN, row_binding([(KeyTag.BYTES, bytes(8))])),
        (cipher_for(), COLUMN, ROW + b"\0"),
        (cipher_for(), COLUMN, ROW[:-1]),
        (cipher_for(), COLUMN, COLUMN_ONLY),
    ],
)
def test_a_value_moved_anywhere_else_does_not_decrypt(envelope, other, column, row):
    assert refusal(other, envelope, column, row) == "bad tag"
    warm = other.encrypt(COLUMN, FRAME, ROW, os.urandom(12))
    assert other.decrypt(COLUMN, warm, ROW) == FRAME
    moved = cipher_for().encrypt(COLUMN, FRAME, ROW, os.urandom(12))
    assert refusal(other, moved, column, row) == "bad tag"


def test_no_two_places_share_their_associated_data():
    """Names cannot be shifted between neighbouring parts: every such swap is another place."""
    names = ("a", "ab", "b")
    envelopes = {}
    for tenant, logical, tag in permutations(names):
        column = ColumnIdentity(logical, tag)
        envelopes[tenant, column] = cipher_for(tenant=tenant).encrypt(column, FRAME, ROW, bytes(12))
    for written, envelope in envelopes.items():
        for tenant, column in envelopes:
            if (tenant, column) == written:
                assert cipher_for(tenant=tenant).decrypt(column, envelope, ROW) == FRAME
            else:
                assert refusal(cipher_for(tenant=tenant), envelope, column) == "bad tag"


def test_parts_of_two_envelopes_do_not_mix(cipher):
    first, second = (cipher.encrypt(COLUMN, FRAME, ROW, tail) for tail in nonce_tails(2))
    for start, end in ((18, 30), (30, 42), (18, 42), (42, -16), (-16, None)):
        mixed = bytearray(first)
        mixed[start:end] = second[start:end]
        if bytes(mixed) != first:
            assert refusal(cipher, bytes(mixed)) == "bad tag"


def test_another_key_id_is_another_key_also_when_the_dek_is_right(cipher, envelope):
    stranger = cipher_for(dek=bytes(32))
    assert refusal(stranger, envelope) == "wrong key"
    assert refusal(stranger, envelope[:2] + stranger.key_id + envelope[18:]) == "bad tag"
    assert refusal(cipher, envelope[:2] + stranger.key_id + envelope[18:]) == "wrong key"


def test_an_older_value_of_the_same_cell_is_accepted(cipher, envelope):
    """Not stopped, and said so in the threat table: a rollback of one cell."""
    cipher.encrypt(COLUMN, b"\x00\x01newer", ROW, os.urandom(12))
    assert cipher.decrypt(COLUMN, envelope, ROW) == FRAME


def test_values_of_many_writers_are_read_and_forged_prefixes_are_not_kept(cipher):
    envelopes = [cipher_for().encrypt(COLUMN, FRAME, ROW, os.urandom(12)) for _ in range(3000)]
    for envelope in (*envelopes, *envelopes):
        assert cipher.decrypt(COLUMN, envelope, ROW) == FRAME
    kept = len(cipher._subkeys)
    assert kept <= 1024
    for envelope in envelopes[:50]:
        refusal(cipher, envelope[:18] + os.urandom(12) + envelope[30:])
    assert len(cipher._subkeys) == kept


def test_many_values_are_encrypted_as_one_by_one(cipher):
    rows = [row_binding([(KeyTag.INTEGER, bytes(7) + bytes([n]))]) for n in range(50)] + [b""]
    frames = [bytes([0, 1, n]) * (n + 1) for n in range(51)]
    tails = nonce_tails(51)
    envelopes = cipher.encrypt_all(COLUMN, frames, rows, tails)
    assert [envelope[30:42] for envelope in envelopes] == tails
    assert cipher.encrypt_all(COLUMN, [], [], []) == []
    for frame, row, tail, envelope in zip(frames, rows, tails, envelopes, strict=True):
        assert cipher.encrypt(COLUMN, frame, row, tail) == envelope
        assert cipher_for().decrypt(COLUMN, envelope, row) == frame


@pytest.mark.parametrize(
    ("frames", "rows", "tails"),
    [
        ([FRAME], [ROW], []),
        ([FRAME], [], [bytes(12)]),
        ([], [ROW], [bytes(12)]),
        ([FRAME, FRAME], [ROW, ROW], [bytes(12), bytes(11)]),
        ([FRAME, FRAME], [ROW, ROW], [bytes(12)]),
    ],
)
def test_many_values_need_as_many_rows_and_whole_tails(cipher, frames, rows, tails):
    with pytest.raises(ValueError, match=r"of its own|12 bytes"):
        cipher.encrypt_all(COLUMN, frames, rows, tails)


def bound(row, envelope):
    """What the server returns: the size of the row binding, the row binding, the envelope."""
    return len(row).to_bytes(4, "big") + row + envelope, 4 + len(row)


@pytest.mark.parametrize("row", [ROW, COLUMN_ONLY, b"r" * 300])
def test_a_value_behind_its_row_decrypts_as_apart(cipher, row):
    envelope = cipher.encrypt(COLUMN, FRAME, row, os.urandom(12))
    for warm in (cipher, cipher_for()):
        value, start = bound(row, envelope)
        assert warm.decrypt_bound(COLUMN, value, start) == FRAME
        assert warm.decrypt_bound(COLUMN, memoryview(value), start) == FRAME


def test_no_bit_of_a_value_behind_its_row_can_be_flipped(cipher, envelope):
    value, start = bound(ROW, envelope)
    for warm in (cipher, cipher_for()):
        for position in range(32, len(value) * 8):  # the size in front is the caller's `start`
            flipped = bytearray(value)
            flipped[position // 8] ^= 1 << position % 8
            with pytest.raises(DecryptionError) as caught:
                warm.decrypt_bound(COLUMN, bytes(flipped), start)
            assert caught.value.__cause__ is caught.value.__context__ is None


def test_no_truncation_of_a_value_behind_its_row_is_accepted(cipher, envelope):
    value, start = bound(ROW, envelope)
    for size in range(len(value)):
        with pytest.raises(DecryptionError):
            cipher.decrypt_bound(COLUMN, value[:size], start)
    for other in (start - 1, start + 1):
        with pytest.raises(DecryptionError):
            cipher.decrypt_bound(COLUMN, value, other)


@pytest.mark.parametrize("size", [0, 8, 11, 13, 24])
def test_a_nonce_tail_of_another_size_is_refused(cipher, size):
    with pytest.raises(ValueError, match="12 bytes"):
        cipher.encrypt(COLUMN, FRAME, ROW, bytes(size))


def test_a_dek_of_another_size_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        cipher_for(dek=bytes(16))


def test_many_values_decrypt_as_one_by_one(cipher):
    frames = [bytes((0, 1, n)) for n in range(5)]
    rows = [bytes((1, n)) for n in range(5)]
    envelopes = cipher.encrypt_all(COLUMN, frames, rows, nonce_tails(5))
    assert cipher.decrypt_all(COLUMN, envelopes, rows) == frames
    with pytest.raises(DecryptionError):
        cipher.decrypt_all(COLUMN, envelopes, rows[::-1])
    with pytest.raises(ValueError, match="needs the row binding of its row"):
        cipher.decrypt_all(COLUMN, envelopes, rows[:4])
