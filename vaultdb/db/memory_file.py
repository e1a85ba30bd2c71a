"""A file that is in memory only, for what libpq reads from a path and no disk may hold."""

from __future__ import annotations

import os
import stat
import weakref
from pathlib import Path
from typing import Self

from vaultdb.errors import ConfigurationError


class MemoryFile(str):
    """The path of a file in memory, mode 0600; the file is there as long as this object.

    Only this process and its children, root, and others of the same user reach it, and those could
    as well read the process's memory. It does not survive `exec`. A connect in progress keeps the
    path, and with it the file, alive: replacing one never pulls it away from libpq.

    Args:
        data: the file's bytes; secret.

    Raises:
        ConfigurationError: the system has no such files.

    """

    __slots__ = ("__weakref__",)

    def __new__(cls, data: bytes) -> Self:
        """Make the file and return its path."""
        try:
            descriptor = os.memfd_create("vaultdb", os.MFD_CLOEXEC)
        except (AttributeError, OSError):  # not Linux, or a sandbox
            raise ConfigurationError(_REMEDY) from None
        path = super().__new__(cls, f"/proc/self/fd/{descriptor}")
        weakref.finalize(path, os.close, descriptor)
        os.fchmod(descriptor, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(data)
        if not Path(path).exists():
            raise ConfigurationError(_REMEDY)
        return path

    def __reduce__(self) -> str:
        """Refuse to be pickled: the path means nothing elsewhere."""
        raise TypeError("a file in memory cannot be pickled")


_REMEDY = (
    "database.certificate_role keeps the key in memory, which takes Linux with /proc; elsewhere"
    " let an agent write the certificate to files of mode 0600, and set database.sslcert and sslkey"
)
