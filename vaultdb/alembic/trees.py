"""The two trees of revisions: vaultdb's own, and the user's."""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory

from vaultdb.errors import ConfigurationError

OWN = "vaultdb"
APP = "app"


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder of revisions."""

    name: str
    """`vaultdb` or `app`."""
    folder: Path

    def config(
        self, buffer: io.StringIO | None = None, *, attributes: Mapping[str, Any] | None = None
    ) -> Config:
        """Return the configuration of an Alembic command; its chatter goes nowhere.

        Args:
            buffer: where the SQL of an offline run goes.
            attributes: what `env.py` finds in `config.attributes`.

        """
        config = Config(
            _ini_of(self.folder),
            output_buffer=buffer,
            stdout=io.StringIO(),
            cmd_opts=Namespace(quiet=True),
        )
        # ConfigParser reads % as the start of an interpolation.
        config.set_main_option("script_location", str(self.folder).replace("%", "%%"))
        if self.name == APP and not config.get_main_option("path_separator"):
            config.set_main_option("path_separator", "os")
        config.attributes.update(attributes or {})
        return config

    def script(self) -> ScriptDirectory:
        """Return its revisions, which are read when they are asked for."""
        return ScriptDirectory.from_config(self.config())


def own_tree() -> Tree:
    """Return vaultdb's own tree, in an installed wheel or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_migrations"
    return Tree(OWN, installed if installed.is_dir() else package.parent / "migrations")


def app_tree(folder: Path) -> Tree:
    """Return the user's tree; the working directory can be imported from then on.

    Raises:
        ConfigurationError: no such folder, or it holds no migrations.

    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"there is no folder {folder}: correct the setting migrations, or run:"
            f" vaultdb migrate init {folder}"
        )
    for name in ("env.py", "versions"):
        if not (folder / name).exists():
            raise ConfigurationError(
                f"folder {folder} has no {name}, so it holds no migrations; run:"
                f" vaultdb migrate init {folder}"
            )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return Tree(APP, folder.resolve())


def _ini_of(folder: Path) -> str | None:
    """Return the alembic.ini for a folder: the one in it, or one above that names it."""
    for path in (folder / "alembic.ini", folder.parent / "alembic.ini"):
        if path.is_file() and (path.parent == folder or _names(path, folder)):
            return str(path)
    return None


def _names(path: Path, folder: Path) -> bool:
    parser = ConfigParser(defaults={"here": str(path.parent)})
    try:
        parser.read(path, encoding="utf-8")
        location = parser.get("alembic", "script_location", fallback="")
    except (ConfigParserError, UnicodeDecodeError):
        return False
    return (path.parent / location).resolve() == folder.resolve()
