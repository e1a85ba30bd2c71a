"""`vaultdb.toml`: where it is found and what its tables hold."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from vaultdb.errors import ConfigurationError
from vaultdb.settings.env import settings_of

NAME = "vaultdb.toml"


def find_file(environment: Mapping[str, str], file: Path | str | None) -> Path | None:
    """Return the path of the settings file, or None when there is none and none was named.

    Raises:
        ConfigurationError: the named file does not exist, or the one that was found belongs to
            somebody else: whoever may write to a folder above could name another Vault.

    """
    named = file or environment.get("VAULTDB_CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigurationError(
                f"there is no settings file {path}; correct --config or VAULTDB_CONFIG"
            )
        return path.absolute()
    found = next((path for path in _candidates() if path.is_file()), None)
    if found is not None and os.name == "posix" and found.stat().st_uid not in {0, os.geteuid()}:
        raise ConfigurationError(
            f"{found} belongs to another user; if you trust it, name it: VAULTDB_CONFIG={found}"
        )
    return found


def _candidates() -> Iterator[Path]:
    here, home = Path.cwd(), Path.home()
    for folder in (here, *here.parents):
        yield folder / NAME
        if folder == home:
            return


def read_file(path: Path, model: type[BaseModel], roles: Sequence[str]) -> dict[str, Any]:
    """Return the tables of the file, with file names made absolute in every overlay.

    Raises:
        ConfigurationError: unreadable, not TOML, writable by everybody, or with a role that no
            command has: its settings would be left unused without a word.

    """
    try:
        # Anybody who may write the file may name another Vault.
        if path.stat().st_mode & stat.S_IWOTH:
            raise ConfigurationError(f"{path} is writable by everybody; run: chmod o-w {path}")
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {str(error).lower()}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"cannot read the settings file {path}: {reason}") from None
    for table in _overlays(document, roles):
        _anchor(table, path.parent, model)
    return document


def _overlays(document: dict[str, Any], roles: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the top of the file and every profile and role in it."""
    yield document
    for group in ("profile", "role"):
        tables = document.get(group, {})
        if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
            raise ConfigurationError(f"setting {group}: write it as tables, [{group}.NAME]")
        for name, table in tables.items():
            if group == "role" and name not in roles:
                raise ConfigurationError(
                    f"there is no role {name}, write one of {', '.join(roles)} in [role.NAME]"
                )
            yield from _overlays(table, roles)


def _anchor(table: dict[str, Any], folder: Path, model: type[BaseModel]) -> None:
    """Make file names in one overlay relative to the folder of the settings file."""
    for setting in settings_of(model):
        section: Any = table
        for part in setting.path[:-1]:
            section = section.get(part, {}) if isinstance(section, dict) else {}
        name = setting.path[-1]
        if setting.is_path and isinstance(section, dict) and isinstance(section.get(name), str):
            value = section[name]
            if value != "system":  # libpq's word for the machine's own CAs
                section[name] = str(folder / Path(value).expanduser())
