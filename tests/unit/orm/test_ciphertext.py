"""The last check before the driver."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import create_engine

from vaultdb.crypto.nonce import nonce_tails
from vaultdb.engine import install
from vaultdb.errors import StatementRefused
from vaultdb.orm.types import Encrypted
from vaultdb.testing import memory_keyring

COLUMN = Encrypted(bytes, logical_name="note.body")


@pytest.fixture
def engine(vaultdb_keyring):
    engine = create_engine("sqlite://")
    yield install(engine, keyring=vaultdb_keyring)
    engine.dispose()


def envelope(keyring):
    (tail,) = nonce_tails(1)
    return keyring.active("", "default").encrypt(
        COLUMN.identity, COLUMN.encode(b"secret"), b"", tail
    )


def test_an_envelope_under_a_key_of_the_engine_and_null_pass(engine, vaultdb_keyring):
    check = COLUMN.bind_processor(engine.dialect)
    value = envelope(vaultdb_keyring)
    assert check(value) is value
    assert check(None) is None


def test_an_envelope_passes_after_its_key_was_dropped_from_the_cache(engine, vaultdb_keyring):
    check = COLUMN.bind_processor(engine.dialect)
    value = envelope(vaultdb_keyring)
    vaultdb_keyring.flush()
    assert check(value) is value


@pytest.mark.parametrize(
    "value",
    [
        b"secret",
        b"",
        b"\xf6\x01",
        b"\xf6\x01" + bytes(100),
        bytearray(100),
        "secret",
        "\xf6\x01" + "x" * 100,
        7,
    ],
    ids=["bytes", "empty", "a header", "zero key id", "bytearray", "text", "text alike", "number"],
)
def test_everything_else_is_refused_without_being_shown(engine, value):
    check = COLUMN.bind_processor(engine.dialect)
    with pytest.raises(StatementRefused) as raised:
        check(value)
    assert "secret" not in str(raised.value)


def test_a_ciphertext_in_another_kind_of_object_is_refused(engine, vaultdb_keyring):
    check = COLUMN.bind_processor(engine.dialect)
    with pytest.raises(StatementRefused):
        check(bytearray(envelope(vaultdb_keyring)))


def test_an_envelope_of_another_keyring_is_refused(engine):
    check = COLUMN.bind_processor(engine.dialect)
    other = memory_keyring()
    with pytest.raises(StatementRefused):
        check(envelope(other))
    other.close()


def test_an_engine_that_is_not_prepared_lets_nothing_pass(vaultdb_keyring):
    engine = create_engine("sqlite://")
    check = COLUMN.bind_processor(engine.dialect)
    with pytest.raises(StatementRefused, match="prepare the engine"):
        check(envelope(vaultdb_keyring))
    engine.dispose()


def test_random_bytes_of_the_right_shape_are_refused(engine):
    check = COLUMN.bind_processor(engine.dialect)
    for _ in range(100):
        with pytest.raises(StatementRefused):
            check(b"\xf6\x01" + os.urandom(80))
