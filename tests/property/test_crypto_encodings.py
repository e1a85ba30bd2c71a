"""vaultdb and the second implementation agree on every encoding, and open each other's values."""

from __future__ import annotations

import unicodedata
from uuid import UUID

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.vectors import second
from vaultdb.crypto import blind_index
from vaultdb.crypto.associated_data import ColumnIdentity, associated_data, associated_data_prefix
from vaultdb.crypto.derive import key_id
from vaultdb.crypto.encoding import canon
from vaultdb.crypto.frame import build_frame, open_frame
from vaultdb.crypto.row_binding import KeyTag, row_binding
from vaultdb.crypto.value_cipher import ValueCipher

DEKS = st.binary(min_size=32, max_size=32)
PARTS = st.lists(st.binary(max_size=40), max_size=8)
NAMES = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)
    .map(lambda name: unicodedata.normalize("NFC", name))
    .filter(lambda name: 0 < len(name.encode()) <= 255)
)
TENANTS = st.just("") | NAMES
ROWS = st.lists(st.tuples(st.sampled_from(KeyTag), st.binary(max_size=20)), min_size=1, max_size=4)
PLACES = st.builds(
    second.Place,
    realm=st.uuids(),
    tenant=TENANTS,
    logical_name=NAMES,
    type_tag=NAMES,
    row=st.just(b"") | ROWS.map(lambda parts: second.row_binding(*parts)),
)


def cipher_at(dek, place):
    return ValueCipher(dek, realm=place.realm, tenant=place.tenant)


def column_of(place):
    return ColumnIdentity(place.logical_name, place.type_tag)


@settings(deadline=None)
@given(left=PARTS, right=PARTS)
def test_canon_is_the_same_and_injective(left, right):
    assert canon(*left) == second.canon(*left)
    assert (canon(*left) == canon(*right)) is (left == right)


@settings(deadline=None)
@given(left=ROWS, right=ROWS)
def test_row_bindings_are_the_same_and_injective(left, right):
    assert row_binding(left) == second.row_binding(*left)
    assert (row_binding(left) == row_binding(right)) is (left == right)


@settings(deadline=None)
@given(place=PLACES, header=st.binary(min_size=18, max_size=18))
def test_associated_data_is_the_same(place, header):
    prefix = associated_data_prefix(place.realm, place.tenant, column_of(place).encoded, header)
    assert associated_data(prefix, place.row) == place.associated_data(header)


@settings(deadline=None)
@given(
    payload=st.binary(max_size=200),
    version=st.integers(0, 255),
    pad=st.none() | st.integers(2, 64),
    canary=st.booleans(),
)
def test_frames_are_the_same_and_come_back(payload, version, pad, canary):
    framed = build_frame(payload, version, pad=pad, canary=canary)
    assert framed == second.frame(payload, version=version, pad=pad, canary=canary)
    assert tuple(open_frame(framed)) == second.unframe(framed)
    assert open_frame(framed).payload == payload
    if pad:
        assert (len(framed) - 2) % pad == 0


@settings(deadline=None)
@given(
    dek=DEKS,
    place=PLACES,
    frame=st.binary(min_size=2, max_size=100),
    nonce=st.binary(min_size=24, max_size=24),
)
def test_each_opens_what_the_other_sealed(dek, place, frame, nonce):
    cipher, column = cipher_at(dek, place), column_of(place)
    sealed = second.seal(dek, place, frame, nonce)
    assert cipher.decrypt(column, sealed, place.row) == frame
    envelope = cipher.encrypt(column, frame, place.row, nonce[12:])
    assert second.unseal(dek, place, envelope) == frame
    assert envelope == second.seal(dek, place, frame, envelope[18:42])


@settings(deadline=None)
@given(dek=DEKS, written=PLACES, read=PLACES, part=st.integers(0, 4))
def test_a_value_opens_nowhere_but_in_its_place(dek, written, read, part):
    fields = ("realm", "tenant", "logical_name", "type_tag", "row")
    moved = {name: getattr(written, name) for name in fields}
    moved[fields[part]] = getattr(read, fields[part])
    elsewhere = second.Place(**moved)
    assume(elsewhere != written)
    envelope = cipher_at(dek, written).encrypt(column_of(written), b"\0\1", written.row, bytes(12))
    try:
        cipher_at(dek, elsewhere).decrypt(column_of(elsewhere), envelope, elsewhere.row)
    except Exception as error:  # noqa: BLE001
        reason = getattr(error, "reason", error)
    else:
        reason = "accepted"
    assert reason == "bad tag"


@settings(deadline=None)
@given(
    dek=DEKS,
    realm=st.uuids(),
    names=st.tuples(TENANTS, NAMES, NAMES),
    message=st.tuples(NAMES, NAMES, st.binary(max_size=60)),
)
def test_blind_index_values_are_the_same(dek, realm, names, message):
    tenant, domain, kind = names
    type_tag, normaliser_id, canonical = message
    index = blind_index.BlindIndex(dek, realm=realm, tenant=tenant)
    built = blind_index.index_message(type_tag, normaliser_id, canonical)
    assert index.digest(domain, kind, built) == second.index_value(
        dek,
        realm=realm,
        tenant=tenant,
        domain=domain,
        kind=kind,
        type_tag=type_tag,
        normaliser_id=normaliser_id,
        canonical=canonical,
    )


@settings(deadline=None)
@given(dek=DEKS)
def test_key_ids_are_the_same(dek):
    assert key_id(dek) == second.key_id(dek)
    assert ValueCipher(dek, realm=UUID(int=0), tenant="").key_id == second.key_id(dek)
