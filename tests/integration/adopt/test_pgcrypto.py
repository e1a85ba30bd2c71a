"""What pgcrypto encrypted in the server is read here, without telling the server the passphrase."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.fixtures.postgres import Database
from tests.foreign_packages import EncryptedString, PGCryptoBackend
from vaultdb.jobs.adopt.foreign.failure import Unreadable
from vaultdb.jobs.adopt.foreign.formats import Format

TEXT = "Zoë\n" + "long " * 3_000


@pytest.fixture
def connection(any_database: Database):
    with any_database.connect() as opened:
        opened.execute("CREATE EXTENSION pgcrypto")
        yield opened


def encrypted(connection: psycopg.Connection, text: str, options: str) -> bytes:
    found = connection.execute("SELECT pgp_sym_encrypt(%s, 'secret', %s)", [text, options])
    return bytes(found.fetchone()[0])


@pytest.mark.parametrize(
    "options",
    [
        "",
        "cipher-algo=aes192",
        "cipher-algo=aes256, compress-algo=1, s2k-digest-algo=sha256",
        "compress-algo=2, sess-key=1, s2k-mode=1",
        "s2k-mode=0, unicode-mode=1",
        "s2k-count=65536, s2k-digest-algo=md5, cipher-algo=aes256",
    ],
)
def test_messages_with_every_option_are_read(connection: psycopg.Connection, options: str) -> None:
    reader = Format.PGCRYPTO.reader(b"secret")
    for text in ("", "a", TEXT):
        assert reader.read(encrypted(connection, text, options)).decode() == text


def test_another_passphrase_and_an_altered_message_are_unreadable(
    connection: psycopg.Connection,
) -> None:
    stored = encrypted(connection, "Ada", "")
    altered = stored[:-5] + bytes([stored[-5] ^ 1]) + stored[-4:]

    for passphrase, message in ((b"Secret", stored), (b"secret", altered)):
        with pytest.raises(Unreadable, match="wrong key or altered"):
            Format.PGCRYPTO.reader(passphrase).read(message)


def test_a_cipher_that_is_not_aes_is_named_as_unsupported(connection: psycopg.Connection) -> None:
    with pytest.raises(Unreadable, match="unsupported"):
        Format.PGCRYPTO.reader(b"secret").read(encrypted(connection, "Ada", "cipher-algo=bf"))


class Base(DeclarativeBase): ...


class Note(Base):
    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str] = mapped_column(EncryptedString("secret", PGCryptoBackend))


@pytest.mark.skipif(
    not hasattr(PGCryptoBackend, "column_expression"), reason="before it worked with PostgreSQL"
)
def test_what_advanced_alchemy_had_pgcrypto_encrypt_is_read(
    connection: psycopg.Connection, any_database: Database
) -> None:
    url = any_database.admin_url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = sa.create_engine(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session, session.begin():
        session.add(Note(id=1, body=TEXT))
    engine.dispose()

    stored = connection.execute("SELECT body FROM note").fetchone()[0]

    assert stored.startswith("-----BEGIN PGP MESSAGE-----")
    reader = Format.ADVANCED_ALCHEMY_PGCRYPTO.reader(b"secret")
    assert reader.read(stored.encode()).decode() == TEXT
