"""The providers without Vault, and what the Vault provider checks before it is used."""

from __future__ import annotations

import base64
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.vault.conftest import NewClient
from tests.unit.vault.fake_vault import Answer, FakeVault
from vaultdb.errors import ConfigurationError, KeyDenied
from vaultdb.keys import KeyProvider
from vaultdb.vault.providers.local import DevelopmentKeyWarning, LocalProvider
from vaultdb.vault.providers.memory import MemoryProvider
from vaultdb.vault.providers.vault import VaultProvider


def kek_file(folder: Path, *keks: bytes, mode: int = 0o600) -> Path:
    file = folder / "kek"
    file.write_bytes(b"".join(base64.b64encode(kek) + b"\n" for kek in keks))
    file.chmod(mode)
    return file


def local(folder: Path) -> LocalProvider:
    provider = LocalProvider(kek_file(folder, os.urandom(32)))
    with pytest.warns(DevelopmentKeyWarning):
        provider.check()
    return provider


@pytest.fixture(params=["local", "memory"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> KeyProvider:
    return local(tmp_path) if request.param == "local" else MemoryProvider()


def test_it_is_a_key_provider(provider: KeyProvider) -> None:
    assert isinstance(provider, KeyProvider)


def test_what_it_wraps_it_unwraps(provider: KeyProvider) -> None:
    dek, wrapped, version = provider.create(b"context")
    assert len(dek) == 32
    assert version == 1
    assert provider.unwrap([(wrapped, b"context")]) == [dek]
    assert provider.create(b"context")[0] != dek


@pytest.mark.parametrize(
    "spoil",
    [
        lambda wrapped, context: (wrapped, b"other context"),
        lambda wrapped, context: (wrapped[:-4] + "AAA=", context),
        lambda wrapped, context: (wrapped.replace(":v1:", ":v2:"), context),
        lambda wrapped, context: ("vault:v1:AAAA", context),
        lambda wrapped, context: ("", context),
        lambda wrapped, context: ("vaultdb:v1:%%%", context),
        lambda wrapped, context: ("vaultdb:vX:AAAA", context),
    ],
    ids=["context", "tag", "version", "other", "empty", "no base64", "no version"],
)
def test_anything_else_is_denied_without_spoiling_its_neighbours(
    provider: KeyProvider, spoil: Callable[[str, bytes], tuple[str, bytes]]
) -> None:
    dek, wrapped, _ = provider.create(b"context")
    good = (wrapped, b"context")
    bad = spoil(*good)
    first, second, third = provider.unwrap([good, bad, good])
    assert first == third == dek
    assert isinstance(second, KeyDenied)
    assert isinstance(provider.rewrap([bad])[0], KeyDenied)


def test_after_a_rotation_old_keys_unwrap_and_a_rewrap_moves_them(provider: KeyProvider) -> None:
    dek, wrapped, _ = provider.create(b"context")
    assert provider.rotate() == provider.latest_version() == 2
    assert provider.unwrap([(wrapped, b"context")]) == [dek]
    (result,) = provider.rewrap([(wrapped, b"context")])
    assert isinstance(result, tuple)
    rewrapped, version = result
    assert version == 2
    assert rewrapped != wrapped
    assert provider.unwrap([(rewrapped, b"context")]) == [dek]
    assert provider.create(b"context")[2] == 2


def test_a_repr_shows_no_kek(tmp_path: Path) -> None:
    kek = os.urandom(32)
    shown = repr(LocalProvider(kek_file(tmp_path, kek))) + repr(MemoryProvider())
    assert base64.b64encode(kek).decode() not in shown
    assert repr(kek)[2:-1] not in shown


def test_the_local_provider_says_once_that_it_is_for_development(tmp_path: Path) -> None:
    provider = local(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        provider.check()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o777])
def test_a_kek_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = kek_file(tmp_path, os.urandom(32), mode=mode)
    with pytest.raises(ConfigurationError, match=rf"others can read .*mode {mode:04o}.*chmod 600"):
        LocalProvider(file).check()


@pytest.mark.parametrize("keks", [(), (b"short",), (os.urandom(32), b"short"), (os.urandom(33),)])
@pytest.mark.filterwarnings("ignore::vaultdb.vault.providers.local.DevelopmentKeyWarning")
def test_a_kek_file_of_another_form_is_refused(tmp_path: Path, keks: tuple[bytes, ...]) -> None:
    with pytest.raises(ConfigurationError, match="base64 of 32 bytes per line; create it with"):
        LocalProvider(kek_file(tmp_path, *keks)).check()


def test_a_missing_kek_file_comes_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file or directory; create it with"):
        LocalProvider(tmp_path / "nothing").check()


def test_the_remedys_command_makes_a_good_file(tmp_path: Path) -> None:
    import subprocess

    from vaultdb.vault.providers.local import REMEDY

    command = REMEDY.removeprefix("create it with: ").replace("FILE", "kek")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    with pytest.warns(DevelopmentKeyWarning):
        LocalProvider(tmp_path / "kek").check()


def test_a_rotation_by_another_process_is_seen(tmp_path: Path) -> None:
    here = local(tmp_path)
    with pytest.warns(DevelopmentKeyWarning):
        LocalProvider(tmp_path / "kek").rotate()
    assert here.latest_version() == 2
    assert (tmp_path / "kek").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["kek"]


GOOD = {"derived": True, "exportable": False, "allow_plaintext_backup": False, "latest_version": 1}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"derived": False}, "is not derived, so vault would ignore"),
        ({"exportable": True}, "can be exported"),
        ({"allow_plaintext_backup": True}, "can be exported or backed up"),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda provider: provider.check(),
        lambda provider: provider.create(b""),
        lambda provider: provider.unwrap([("vault:v1:AAAA", b"")]),
        lambda provider: provider.rewrap([("vault:v1:AAAA", b"")]),
        lambda provider: provider.rotate(),
    ],
    ids=["check", "create", "unwrap", "rewrap", "rotate"],
)
def test_an_unfit_kek_is_refused_before_its_first_use(
    fake: FakeVault, new_client: NewClient, wrong: dict[str, Any], message: str, use: Any
) -> None:
    fake.script = lambda *_: Answer(body={"data": GOOD | wrong})
    provider = VaultProvider(new_client(), mount="vaultdb-transit", kek="vaultdb")
    with pytest.raises(ConfigurationError, match=message):
        use(provider)
    assert {method for method, path in fake.calls if "transit" in path} == {"GET"}


def test_the_kek_is_checked_once(fake: FakeVault, new_client: NewClient) -> None:
    item = {"plaintext": base64.b64encode(bytes(32)).decode()}
    fake.script = lambda method, *_: Answer(
        body={"data": GOOD if method == "GET" else {"batch_results": [item]}}
    )
    provider = VaultProvider(new_client(), mount="vaultdb-transit", kek="vaultdb")
    for _ in range(5):
        assert provider.unwrap([("vault:v1:AAAA", b"")]) == [bytes(32)]
    assert fake.count("vaultdb-transit/keys/vaultdb") == 1


def test_a_rewrapped_text_of_another_form_is_denied(fake: FakeVault, new_client: NewClient) -> None:
    item = {"ciphertext": "not-vault:v1:AAAA"}
    fake.script = lambda method, *_: Answer(
        body={"data": GOOD if method == "GET" else {"batch_results": [item]}}
    )
    provider = VaultProvider(new_client(), mount="vaultdb-transit", kek="vaultdb")
    with pytest.raises(KeyDenied, match="not a transit ciphertext"):
        provider.rewrap([("vault:v1:AAAA", b"")])
