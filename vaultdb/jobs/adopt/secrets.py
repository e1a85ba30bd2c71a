"""Where the key of a foreign format comes from: a file or Vault, never the command line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaultdb.errors import ConfigurationError
from vaultdb.vault.answers import NotFound, take

if TYPE_CHECKING:
    from vaultdb.vault.client import VaultClient


@dataclass(frozen=True, slots=True)
class KeySource:
    """Names the place of a secret; safe to store with a job.

    Args:
        file: its text without the line break at the end.
        vault: a path of Vault's key-value engine and a field, such as `secret/data/legacy#key`.

    """

    file: Path | None = None
    vault: str | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.vault is None):
            raise ConfigurationError(
                "say where the old key is: either --key-file FILE or --key-vault PATH#FIELD"
            )

    def read(self, client: VaultClient | None) -> bytes:
        """Return the secret.

        Args:
            client: of the role that re-encrypts; needed for `vault`.

        Raises:
            ConfigurationError: the file cannot be used, or there is no such path or field.
            VaultDenied, VaultUnavailable: as they say.

        """
        if self.file is not None:
            return _in_file(self.file)
        assert self.vault is not None
        if client is None:
            raise ConfigurationError("--key-vault needs the settings of [vault]; use --key-file")
        return _in_vault(client, self.vault)


def _in_file(path: Path) -> bytes:
    try:
        found = path.read_bytes()
    except OSError as error:
        problem = (error.strerror or type(error).__name__).lower()
        raise ConfigurationError(f"--key-file: cannot use {path}: {problem}") from None
    return found.removesuffix(b"\n").removesuffix(b"\r")


def _in_vault(client: VaultClient, place: str) -> bytes:
    path, separator, field = place.rpartition("#")
    if not separator or not path or not field:
        raise ConfigurationError("--key-vault: write PATH#FIELD, such as secret/data/legacy#key")
    answer: Any = None
    with suppress(NotFound):
        answer = client.call(lambda vault: vault.read(path))
    if answer is None:
        raise ConfigurationError(
            f"--key-vault: vault has nothing at {path}; a key-value engine of version 2 has data/"
            " behind its mount"
        )
    data = take(answer, "data")
    # Version 2 wraps what was stored once more.
    found = data["data"] if isinstance(data.get("data"), dict) else data
    if not isinstance(found, dict) or not isinstance(found.get(field), str):
        raise ConfigurationError(f"--key-vault: {path} has no text in the field {field}")
    return str(found[field]).encode()
