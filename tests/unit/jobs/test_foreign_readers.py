"""What other packages encrypted is read by ours, byte for byte what they would have read."""

from __future__ import annotations

import base64
import warnings
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, MultiFernet
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from tests.foreign_packages import (
    AesEngine,
    AesGcmEngine,
    EncryptedType,
    FernetBackend,
    FernetEngine,
    StringEncryptedType,
)
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.foreign.cfb import decrypt_cfb
from vaultdb.jobs.adopt.foreign.failure import Unreadable
from vaultdb.jobs.adopt.foreign.formats import Format
from vaultdb.jobs.adopt.foreign.padding import Padding
from vaultdb.jobs.adopt.values import value_of

SECRET = "a passphrase of theirs"
DIALECT = postgresql.dialect()
ENGINES = {
    Format.SQLALCHEMY_UTILS_AES: AesEngine,
    Format.SQLALCHEMY_UTILS_GCM: AesGcmEngine,
    Format.SQLALCHEMY_UTILS_FERNET: FernetEngine,
}
VALUES: list[tuple[Any, type, Any]] = [
    (sa.Unicode(), str, "Zoë"),
    (sa.Integer(), int, -42),
    (sa.Boolean(), bool, True),
    (sa.Float(), float, 0.1),
    (sa.Date(), date, date(1990, 1, 2)),
    (sa.DateTime(), datetime, datetime(1990, 1, 2, 3, 4, 5, 678, tzinfo=UTC)),
    (sa.Time(), time, time(23, 59)),
    (sa.Numeric(), Decimal, Decimal("12.50")),
    (sa.Uuid(), UUID, UUID(int=7)),
    (sa.LargeBinary(), bytes, b"\x00'\xff"),
]


def stored_by(type_: Any, value: Any) -> bytes:
    found = type_.process_bind_param(value, DIALECT)
    return found.encode() if isinstance(found, str) else bytes(found)


@pytest.mark.parametrize("format_", ENGINES)
@pytest.mark.parametrize(("theirs", "ours", "value"), VALUES, ids=lambda each: str(each)[:20])
def test_what_sqlalchemy_utils_stored_is_read(
    format_: Format, theirs: Any, ours: type, value: Any
) -> None:
    stored = stored_by(StringEncryptedType(theirs, SECRET, ENGINES[format_]), value)

    text = format_.reader(SECRET.encode()).read(stored).decode()

    assert value_of(ours, text) == value


@pytest.mark.parametrize("padding", Padding)
@given(text=st.text(st.characters(exclude_characters="*", exclude_categories=("Cs", "Cc"))))
def test_each_padding_of_sqlalchemy_utils_is_taken_off(padding: Padding, text: str) -> None:
    stored = stored_by(StringEncryptedType(sa.Unicode, SECRET, AesEngine, padding.value), text)

    reader = Format.SQLALCHEMY_UTILS_AES.reader(SECRET.encode(), padding=padding)

    assert reader.read(stored).decode() == text


def test_asterisks_at_the_end_are_lost_with_the_naive_padding_as_in_the_package() -> None:
    type_ = StringEncryptedType(sa.Unicode, SECRET, AesEngine)
    stored = stored_by(type_, "5 stars: *****")

    ours = Format.SQLALCHEMY_UTILS_AES.reader(SECRET.encode()).read(stored)

    assert ours.decode() == "5 stars: " == type_.process_result_value(stored.decode(), DIALECT)


def test_what_the_older_encrypted_type_stored_as_bytes_is_read() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        type_ = EncryptedType(sa.Unicode, SECRET, AesGcmEngine)

    stored = stored_by(type_, "Ada")

    assert Format.SQLALCHEMY_UTILS_GCM.reader(SECRET.encode()).read(stored) == b"Ada"


def test_tokens_of_several_fernet_keys_are_read() -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    stored = [Fernet(old).encrypt(b"Ada"), MultiFernet([Fernet(new), Fernet(old)]).encrypt(b"Bob")]

    reader = Format.FERNET.reader(new + b"\n" + old + b"\n")

    assert [reader.read(each) for each in stored] == [b"Ada", b"Bob"]


@pytest.mark.parametrize("secret", ["short", "x" * 32, SECRET])
def test_what_advanced_alchemy_stored_with_fernet_is_read(secret: str) -> None:
    backend = FernetBackend()
    backend.mount_vault(secret)
    stored = backend.encrypt("Ada").encode()

    assert Format.ADVANCED_ALCHEMY_FERNET.reader(secret.encode()).read(stored) == b"Ada"


@pytest.mark.parametrize(
    "format_", [each for each in Format if "pgcrypto" not in each and "aes" not in each]
)
def test_no_format_but_cbc_reads_an_altered_value_or_one_of_another_key(format_: Format) -> None:
    secret = Fernet.generate_key()
    stored = _encrypt(format_, secret)
    altered = bytearray(stored)
    altered[len(stored) // 2] ^= 1
    reader, other = format_.reader(secret), format_.reader(Fernet.generate_key())

    assert reader.read(stored) == b"Ada"
    for refuse in (lambda: reader.read(bytes(altered)), lambda: other.read(stored)):
        with pytest.raises(Unreadable):
            refuse()


def _encrypt(format_: Format, secret: bytes) -> bytes:
    if format_ is Format.FERNET:
        return Fernet(secret).encrypt(b"Ada")
    engine = ENGINES.get(format_, FernetEngine)()
    engine._update_key(secret)
    return engine.encrypt("Ada").encode()


@pytest.mark.parametrize(
    "stored", [b"", b"!", b"AAAA", b"\xff" * 40, b"-----BEGIN PGP MESSAGE-----"]
)
@pytest.mark.parametrize("format_", Format)
def test_rubbish_is_unreadable_and_nothing_of_it_is_told(format_: Format, stored: bytes) -> None:
    reader = format_.reader(Fernet.generate_key(), padding=Padding.PKCS5)

    with pytest.raises(Unreadable) as caught:
        reader.read(stored)

    assert caught.value.__context__ is None
    assert len(stored) < 4 or stored.decode("latin-1") not in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_openpgp_reader_fail_otherwise(stored: bytes) -> None:
    reader = Format.PGCRYPTO.reader(b"secret")
    for message in (stored, b"\xc3\x0d\x04\x07\x03\x02" + stored, b"\xd2" + stored):
        with pytest.raises(Unreadable):
            reader.read(message)


@pytest.mark.parametrize("secret", [b"short", base64.b64encode(b"16 bytes of rock"), b"\n"])
def test_what_is_no_fernet_key_is_refused_before_any_row_is_read(secret: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"Fernet key|empty"):
        Format.FERNET.reader(secret).read(b"")


def test_cfb_is_that_of_nist() -> None:
    # NIST SP 800-38A, F.3.14: CFB128-AES128.Decrypt
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    iv = bytes(range(16))
    ciphertext = bytes.fromhex("3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b")
    plaintext = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
    assert decrypt_cfb(key, iv, ciphertext) == plaintext
    assert decrypt_cfb(key, iv, ciphertext[:21]) == plaintext[:21]
    assert decrypt_cfb(key, iv, b"") == b""


@pytest.mark.parametrize(
    ("python_type", "found"),
    [(int, "4.5"), (int, True), (date, "02.01.1990"), (UUID, "x"), (bool, "maybe"), (str, b"x")],
)
def test_what_is_no_value_of_the_type_is_quarantined_and_not_bent(
    python_type: type, found: Any
) -> None:
    with pytest.raises(Unreadable, match="not of the column's type") as caught:
        value_of(python_type, found)
    assert caught.value.__context__ is None
    assert str(found) not in str(caught.value)
