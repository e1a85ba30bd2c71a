"""An unwrapped DEK can be used and nothing else."""

from __future__ import annotations

import copy
import os
import pickle
from uuid import UUID

import pytest

from tests.unit.keys.support import REALM
from vaultdb.crypto.associated_data import ColumnIdentity
from vaultdb.crypto.derive import key_id
from vaultdb.errors import ConfigurationError, DecryptionError
from vaultdb.keys import DataKey, KeyScope, KeyState, Purpose, WrappedKey
from vaultdb.keys.wrapped_key import wrapping_context

DEK = bytes(range(32))
COLUMN = ColumnIdentity("app.patient.ssn", "str")


def row(purpose: Purpose = Purpose.DATA, tenant: str = "acme", realm: UUID = REALM) -> WrappedKey:
    return WrappedKey(
        key_id=key_id(DEK),
        realm=realm,
        scope=KeyScope(tenant, "default", purpose),
        version=1,
        state=KeyState.ACTIVE,
        kek_version=1,
        wrapped="vault:v1:wrapped-text",
    )


def test_it_cannot_be_printed() -> None:
    for text in (repr(DataKey(row(), DEK)), str(DataKey(row(), DEK))):
        assert DEK.hex() not in text
        assert repr(DEK)[2:-1] not in text
        assert "tenant='acme'" in text


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_cannot_be_pickled_or_copied(purpose: Purpose, take: object) -> None:
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        take(DataKey(row(purpose), DEK))  # type: ignore[operator]


def test_it_equals_only_itself() -> None:
    key = DataKey(row(), DEK)
    assert key == key  # noqa: PLR0124
    assert key != DataKey(row(), DEK)


def test_no_attribute_holds_the_dek() -> None:
    key = DataKey(row(), DEK)
    values = [getattr(key, name) for name in DataKey.__slots__ if name != "__weakref__"]
    assert DEK not in values


def test_a_data_key_makes_no_index_values() -> None:
    with pytest.raises(ConfigurationError, match="use an index key"):
        DataKey(row(Purpose.DATA), DEK).index_digest("domain", "equality", b"value")


def test_an_index_key_encrypts_nothing() -> None:
    key = DataKey(row(Purpose.INDEX), DEK)
    with pytest.raises(ConfigurationError, match="use a data key"):
        key.encrypt(COLUMN, b"frame", b"", os.urandom(12))
    with pytest.raises(ConfigurationError, match="use a data key"):
        key.decrypt(COLUMN, b"envelope", b"")


def test_realm_and_tenant_are_bound_into_values() -> None:
    envelope = DataKey(row(), DEK).encrypt(COLUMN, b"frame", b"", os.urandom(12))
    assert DataKey(row(), DEK).decrypt(COLUMN, envelope, b"") == b"frame"
    for other in (row(tenant="globex"), row(realm=UUID(int=1))):
        with pytest.raises(DecryptionError):
            DataKey(other, DEK).decrypt(COLUMN, envelope, b"")


def test_index_values_differ_by_tenant_and_domain() -> None:
    def digest(tenant: str, domain: str) -> bytes:
        return DataKey(row(Purpose.INDEX, tenant), DEK).index_digest(domain, "equality", b"value")

    values = {digest(tenant, domain) for tenant in ("a", "b") for domain in ("x", "y")}
    assert len(values) == 4
    assert digest("a", "x") in values


def test_the_wrapping_context_is_what_the_format_says() -> None:
    """canon(realm, tenant, label, keyset, purpose, u32 version), written out by hand."""

    def part(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data

    expected = b"\x06" + b"".join(
        map(part, [REALM.bytes, b"acme", b"vaultdb/dek/v1", b"default", b"data", b"\0\0\0\1"])
    )
    assert row().context() == expected


def test_a_row_shows_no_wrapped_text() -> None:
    assert "wrapped-text" not in repr(row())


def test_a_subject_is_the_seventh_part_of_the_wrapping_context() -> None:
    scope = KeyScope("acme", "default", Purpose.DATA)
    without = wrapping_context(REALM, scope, 1)
    assert wrapping_context(REALM, scope._replace(subject="p-1"), 1) == (
        b"\x07" + without[1:] + b"\0\0\0\x03p-1"
    )


def test_the_wrapping_context_without_a_subject_never_changes() -> None:
    """Made by hand from DESIGN section 4; every wrapped DEK there is depends on it."""
    context = wrapping_context(UUID(int=1), KeyScope("ä", "default", Purpose.INDEX), 258)
    assert context.hex() == (
        "06"
        "0000001000000000000000000000000000000001"
        "00000002c3a4"
        "0000000e" + b"vaultdb/dek/v1".hex() + "00000007" + b"default".hex() + "00000005"
        "696e646578"
        "0000000400000102"
    )


def test_a_subject_is_within_its_keyset_and_in_no_other() -> None:
    whole = KeyScope("acme", "default", Purpose.DATA)
    subject = whole._replace(subject="p-1")
    assert subject.is_within(whole)
    assert whole.is_within(whole)
    assert not subject.is_within(whole._replace(tenant="globex"))
    assert not subject.is_within(whole._replace(purpose=Purpose.INDEX))
