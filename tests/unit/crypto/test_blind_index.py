from __future__ import annotations

from uuid import UUID

import pytest

from vaultdb.crypto.blind_index import EQUALITY, BlindIndex, index_message
from vaultdb.crypto.derive import index_key, key_id
from vaultdb.errors import ConfigurationError

DEK = bytes(range(32))
REALM = UUID(int=1)
MESSAGE = index_message("str", "exact/1", b"999-17-5017")


def index_for(dek=DEK, realm=REALM, tenant="acme"):
    return BlindIndex(dek, realm=realm, tenant=tenant)


def test_a_value_is_marker_version_key_id_and_tag():
    value = index_for().digest("patient.ssn", EQUALITY, MESSAGE)
    assert len(value) == 26
    assert value[:2] == b"\xb1\x01"
    assert value[2:10] == key_id(DEK)[:8]


def test_equal_values_are_equal_in_every_process():
    values = {index_for().digest("patient.ssn", EQUALITY, MESSAGE) for _ in range(3)}
    again = index_for()
    values |= {again.digest("patient.ssn", EQUALITY, MESSAGE) for _ in range(2)}
    assert len(values) == 1


def test_nothing_links_values_of_another_realm_tenant_domain_kind_type_or_normaliser():
    digest = index_for().digest
    values = [
        digest("patient.ssn", EQUALITY, MESSAGE),
        index_for(dek=bytes(32)).digest("patient.ssn", EQUALITY, MESSAGE),
        index_for(realm=UUID(int=2)).digest("patient.ssn", EQUALITY, MESSAGE),
        index_for(tenant="globex").digest("patient.ssn", EQUALITY, MESSAGE),
        digest("doctor.ssn", EQUALITY, MESSAGE),
        digest("patient.ssn", "range", MESSAGE),
        digest("patient.ssn", EQUALITY, index_message("bytes", "exact/1", b"999-17-5017")),
        digest("patient.ssn", EQUALITY, index_message("str", "digits/1", b"999-17-5017")),
        digest("patient.ssn", EQUALITY, index_message("str", "exact/1", b"999-17-5018")),
        digest("patient.ssn", EQUALITY, index_message("str", "exact/19", b"99-17-5017")),
    ]
    assert len({value[10:] for value in values}) == len(values)


def test_a_key_is_derived_once_per_domain(monkeypatch):
    derived = []

    def counting(dek, **names):
        derived.append(names["domain"])
        return index_key(dek, **names)

    monkeypatch.setattr("vaultdb.crypto.blind_index.index_key", counting)
    index = index_for()
    for domain in ("a", "b", "a", "b"):
        index.digest(domain, EQUALITY, MESSAGE)
    assert derived == ["a", "b"]


def test_a_nameless_domain_or_kind_is_refused():
    with pytest.raises(ConfigurationError, match="index domain"):
        index_for().digest("", EQUALITY, MESSAGE)
    with pytest.raises(ConfigurationError, match="index kind"):
        index_for().digest("patient.ssn", "", MESSAGE)


def test_a_dek_of_another_size_is_refused():
    for make in (index_for, key_id):
        with pytest.raises(ValueError, match="32 bytes"):
            make(bytes(31))
