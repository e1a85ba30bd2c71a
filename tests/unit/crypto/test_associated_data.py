from __future__ import annotations

import unicodedata
from uuid import UUID

import pytest

from vaultdb.crypto.associated_data import (
    ColumnIdentity,
    associated_data,
    associated_data_prefix,
)
from vaultdb.crypto.encoding import canon
from vaultdb.errors import ConfigurationError

REALM = UUID(int=7)
HEADER = b"\xf6\x01" + bytes(16)


def test_associated_data_is_the_canonical_list_of_seven_parts():
    column = ColumnIdentity("public.patient.ssn", "str")
    built = associated_data(associated_data_prefix(REALM, "acme", column.encoded, HEADER), b"row")
    assert built == canon(
        b"vaultdb/aad/v1", REALM.bytes, b"acme", b"public.patient.ssn", b"str", HEADER, b"row"
    )


def test_columns_of_the_same_names_are_equal_and_hash_alike():
    left, right = ColumnIdentity("a.b.c", "str"), ColumnIdentity("a.b.c", "str")
    assert left == right
    assert hash(left) == hash(right)
    assert left != ColumnIdentity("a.b.c", "int")


@pytest.mark.parametrize(
    "name", ["", "x" * 256, "a\nb", unicodedata.normalize("NFD", "é"), "\ud800"]
)
def test_a_name_that_could_be_mistaken_is_refused(name):
    with pytest.raises(ConfigurationError, match="logical name"):
        ColumnIdentity(name, "str")
    with pytest.raises(ConfigurationError, match="type tag"):
        ColumnIdentity("a.b.c", name)


def test_no_tenant_is_a_tenant_but_a_decomposed_one_is_not():
    column = ColumnIdentity("a.b.c", "str").encoded
    assert associated_data_prefix(REALM, "", column, HEADER)
    with pytest.raises(ConfigurationError, match="tenant"):
        associated_data_prefix(REALM, unicodedata.normalize("NFD", "é"), column, HEADER)
