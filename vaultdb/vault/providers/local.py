"""A KEK in a file, for development without Vault."""

from __future__ import annotations

import base64
import binascii
import os
import stat
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from vaultdb.crypto.limits import KEY_SIZE
from vaultdb.errors import ConfigurationError, KeyringError
from vaultdb.keys.provider import KeyProvider
from vaultdb.keys.wrapped_key import KeyScope
from vaultdb.vault.providers.wrapping import KEK_SIZE, rewrap_each, unwrap_each, wrap

REMEDY = "create it with: (umask 077; head -c 32 /dev/urandom | base64 > FILE)"


class DevelopmentKeyWarning(UserWarning):
    """The key-encryption key lies in a file beside the application: not for real data."""


class LocalProvider:
    """A key provider whose KEK is in a file. Whoever can read the file can read everything.

    The file has one line per version of the KEK, the first one being version 1: base64 of 32
    secret bytes. It is read at each use, so that a rotation by another process is seen.

    Args:
        kek_file: readable and writable by its owner only (mode 0600 or 0400).

    """

    name = "local"

    def __init__(self, kek_file: Path) -> None:
        self._file = kek_file
        self._warned = False

    def for_scope(self, scope: KeyScope) -> KeyProvider:
        """Return this provider: one file has one KEK."""
        del scope
        return self

    def ensure_kek(self) -> None:
        """Do nothing: who owns the file makes the KEK."""

    def create(self, context: bytes) -> tuple[bytes, str, int]:
        """Make a DEK; return its 32 secret bytes, the wrapped text and the KEK's version."""
        keks = self._read()
        dek, version = os.urandom(KEY_SIZE), max(keks)
        return dek, wrap(keks[version], version, context, dek), version

    def unwrap(self, keys: Sequence[tuple[str, bytes]]) -> list[bytes | KeyringError]:
        """Unwrap pairs of wrapped text and context."""
        return unwrap_each(self._read(), keys)

    def rewrap(self, keys: Sequence[tuple[str, bytes]]) -> list[tuple[str, int] | KeyringError]:
        """Wrap DEKs under the newest KEK."""
        return rewrap_each(self._read(), keys)

    def rotate(self) -> int:
        """Add a version to the file, which is replaced as a whole."""
        keks = self._read()
        version = max(keks) + 1
        keks[version] = os.urandom(KEK_SIZE)
        lines = (base64.b64encode(keks[number]) + b"\n" for number in sorted(keks))
        handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=f".{self._file.name}.")
        with os.fdopen(handle, "wb") as file:  # mkstemp makes it 0600
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(self._file)
        return version

    def latest_version(self) -> int:
        """Return the newest version of the KEK."""
        return max(self._read())

    def check(self) -> None:
        """Raise `ConfigurationError` unless the file is there, private and whole."""
        self._read()

    def close(self) -> None:
        """Do nothing: the KEK is not kept."""

    def __repr__(self) -> str:
        return f"<LocalProvider {self._file}>"

    def _read(self) -> dict[int, bytes]:
        problem, mode, text = "", 0, b""
        try:
            with self._file.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                text = file.read()
        except OSError as error:
            problem = (error.strerror or type(error).__name__).lower()
        if problem:
            raise ConfigurationError(
                f"local.kek_file: cannot use {self._file}: {problem}; {REMEDY}"
            )
        if stat.S_IMODE(mode) & 0o077:
            raise ConfigurationError(
                f"local.kek_file: others can read {self._file} (mode {stat.S_IMODE(mode):04o}); "
                f"chmod 600 {self._file}"
            )
        self._warn()
        return self._parse(text)

    def _parse(self, text: bytes) -> dict[int, bytes]:
        keks: dict[int, bytes] = {}
        for number, line in enumerate(text.split(), start=1):
            try:
                keks[number] = base64.b64decode(line, validate=True)
            except binascii.Error:
                keks[number] = b""
        if not keks or any(len(kek) != KEK_SIZE for kek in keks.values()):
            raise ConfigurationError(
                f"local.kek_file: {self._file} must hold base64 of 32 bytes per line; {REMEDY}"
            )
        return keks

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"keys come from {self._file}: whoever reads that file reads everything; "
                'this is for development, use keys = "vault" for real data',
                DevelopmentKeyWarning,
                stacklevel=2,
            )
