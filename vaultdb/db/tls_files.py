"""The files that libpq reads for TLS, looked at before it does.

libpq ignores a certificate or revocation list that it cannot open, and connects without: the
server's complaint, if there is one, then speaks of something else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaultdb.errors import ConfigurationError

FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir")
"""libpq's options that are paths."""

_SYSTEM = "system"
"""For `sslrootcert`: the machine's own authorities, not a file."""

_SETTINGS = frozenset({"sslrootcert", "sslcert", "sslkey"})
_GROUP_OR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# libpq accepts 0640 from root, whose group is then the users that root chose.
_MORE_THAN_READ_BY_GROUP = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


def refuse_text_for_files(files: Mapping[str, str]) -> None:
    """Refuse a certificate or key itself where its path belongs; it is never repeated.

    Raises:
        ConfigurationError: libpq would look for a file of that name, and go on without.

    """
    for option, value in files.items():
        if "-----BEGIN" in value or "\n" in value:
            raise ConfigurationError(
                f"{_name(option)} holds a PEM text, and libpq reads files only: write it to a file"
                " of mode 0600 and give the path"
            )


def check_files(parameters: Mapping[str, Any]) -> None:
    """Look at the files of one connection, those of `PG*` variables too.

    Raises:
        ConfigurationError: a file is missing, cannot be read, or a key can be read by others.

    """
    files = {option: _value(parameters, option) for option in FILES}
    refuse_text_for_files(files)
    for option, path in files.items():
        if path and not (option == "sslrootcert" and path == _SYSTEM):
            _check_readable(option, path)
    if files["sslcert"] and not files["sslkey"] and not _default_key().exists():
        raise ConfigurationError(
            "database.sslcert has no key: set database.sslkey (VAULTDB_SSLKEY) to the path of its"
            " private key"
        )
    if files["sslkey"]:
        _check_private(files["sslkey"])


def _value(parameters: Mapping[str, Any], option: str) -> str:
    given = parameters.get(option)
    return str(given if given is not None else os.environ.get(f"PG{option.upper()}") or "")


def _check_readable(option: str, path: str) -> None:
    if os.access(path, os.R_OK):
        return
    problem = "may not be read by this process" if Path(path).exists() else "does not exist"
    raise ConfigurationError(f"{_name(option)}: {path} {problem}; correct the path or its mode")


def _check_private(path: str) -> None:
    facts = Path(path).stat()
    forbidden = _GROUP_OR_OTHERS if facts.st_uid else _MORE_THAN_READ_BY_GROUP
    if facts.st_mode & forbidden:
        mode = f"{stat.S_IMODE(facts.st_mode):04o}"
        raise ConfigurationError(
            f"database.sslkey: {path} can be read or changed by others (mode {mode});"
            f" run: chmod 0600 {path}"
        )


def _default_key() -> Path:
    return Path("~/.postgresql/postgresql.key").expanduser()


def _name(option: str) -> str:
    return f"database.{option}" if option in _SETTINGS else f"{option} of database.url"
