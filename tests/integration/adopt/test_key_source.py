"""The key of another package comes from a file or from Vault, and nowhere else."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.fixtures.openbao import OpenBao
from vaultdb.errors import ConfigurationError, VaultDenied
from vaultdb.jobs.adopt.adoption import Foreign
from vaultdb.jobs.adopt.foreign.formats import Format
from vaultdb.jobs.adopt.foreign.padding import Padding
from vaultdb.jobs.adopt.secrets import KeySource
from vaultdb.settings import VaultSettings
from vaultdb.vault.factory import new_client

SECRET = "their secret"


@pytest.fixture
def engine(openbao: OpenBao) -> str:
    """A key-value engine of version 2 with the old key in it."""
    admin = openbao.admin
    mounts = admin.read("sys/mounts")["data"]
    if "legacy/" not in mounts:
        admin.write("sys/mounts/legacy", type="kv", options={"version": "2"})
    admin.write("legacy/data/orders", data={"key": SECRET, "number": 5})
    return "legacy/data/orders"


def test_a_key_is_read_from_vault(openbao: OpenBao, engine: str) -> None:
    with closing(openbao.client()) as client:
        assert KeySource(vault=f"{engine}#key").read(client) == SECRET.encode()


@pytest.mark.parametrize(
    ("place", "remedy"),
    [
        ("legacy/data/orders", "write PATH#FIELD"),
        ("legacy/data/orders#", "write PATH#FIELD"),
        ("legacy/data/nothing#key", "nothing at legacy/data/nothing"),
        ("legacy/data/orders#other", "no text in the field other"),
        ("legacy/data/orders#number", "no text in the field number"),
    ],
)
def test_a_place_without_a_key_is_named(
    openbao: OpenBao, engine: str, place: str, remedy: str
) -> None:
    with (
        closing(openbao.client()) as client,
        pytest.raises(ConfigurationError, match=remedy) as caught,
    ):
        KeySource(vault=place).read(client)
    assert SECRET not in str(caught.value)


def test_a_role_whose_policy_does_not_name_the_path_is_denied(
    openbao: OpenBao, engine: str
) -> None:
    settings = VaultSettings(**openbao.values("reencryptor"))
    with closing(new_client(settings)) as client, pytest.raises(VaultDenied):
        KeySource(vault=f"{engine}#key").read(client)


def test_one_line_break_at_the_end_of_a_file_is_not_of_the_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for written, read in ((b"a\n", b"a"), (b" a \r\n", b" a "), (b"a\n\n", b"a\n"), (b"a", b"a")):
        file.write_bytes(written)
        assert KeySource(file).read(None) == read


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot use .*nowhere: no such file"):
        KeySource(tmp_path / "nowhere").read(None)


def test_one_place_is_needed_and_not_two(tmp_path: Path) -> None:
    for source in ({}, {"file": tmp_path, "vault": "a#b"}):
        with pytest.raises(ConfigurationError, match="either --key-file FILE or --key-vault"):
            KeySource(**source)


def test_a_job_stores_where_the_key_is_and_not_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(SECRET)
    foreign = Foreign(Format.SQLALCHEMY_UTILS_AES, KeySource(Path("key")), Padding.PKCS5)

    stored = foreign.spec()

    assert SECRET not in repr(stored)
    assert Foreign.of(stored).key.read(None) == SECRET.encode()
    assert (Foreign.of(stored).format, Foreign.of(stored).padding) == (
        Format.SQLALCHEMY_UTILS_AES,
        Padding.PKCS5,
    )
