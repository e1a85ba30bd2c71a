"""Keys cannot be printed, pickled, copied, or compared by value."""

from __future__ import annotations

import copy
import pickle
from uuid import UUID

import pytest

from vaultdb.crypto.blind_index import EQUALITY, BlindIndex
from vaultdb.crypto.value_cipher import ValueCipher
from vaultdb.crypto.xaes import XAES256GCM

DEK = b"a DEK of exactly thirty-two bytes"[:32]


def holders():
    cipher = ValueCipher(DEK, realm=UUID(int=1), tenant="acme")
    index = BlindIndex(DEK, realm=UUID(int=1), tenant="acme")
    index.digest("domain", EQUALITY, b"")
    return [cipher, index, XAES256GCM(DEK), cipher._writer]


@pytest.mark.parametrize("holder", holders(), ids=lambda holder: type(holder).__name__)
def test_a_key_is_not_printed_pickled_or_copied(holder):
    for text in (repr(holder), str(holder), f"{holder}", f"{holder!r}"):
        assert "DEK" not in text
        assert DEK.hex() not in text
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            pickle.dumps(holder, protocol)
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            duplicate(holder)
    assert not hasattr(holder, "__dict__")


def test_two_holders_of_one_key_do_not_say_so():
    for left, right in zip(holders(), holders(), strict=True):
        assert left != right


@pytest.mark.parametrize(
    "make", [XAES256GCM, lambda dek: ValueCipher(dek, realm=UUID(int=1), tenant="")]
)
def test_a_key_of_another_size_is_not_in_the_message(make):
    with pytest.raises(ValueError, match="32 bytes") as caught:
        make(DEK + b"!")
    assert "DEK" not in repr(caught.value.args)
