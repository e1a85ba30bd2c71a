"""Begin a tree of migrations, and add revisions to it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from alembic import command

from vaultdb.alembic.failures import plain_failures
from vaultdb.alembic.session import ATTRIBUTE, Session
from vaultdb.alembic.trees import Tree
from vaultdb.errors import ConfigurationError

_FILES = ("env.py", "script.py.mako", "alembic.ini")


def init(folder: Path, *, module: str, name: str, is_metadata: bool) -> list[Path]:
    """Write `env.py`, `script.py.mako`, `alembic.ini` and an empty `versions`.

    Args:
        folder: may exist, without these files.
        module: where the models are, such as `clinic.models`.
        name: of the declarative base, or of the MetaData, in it.
        is_metadata: whether it is a MetaData.

    Raises:
        ConfigurationError: the folder holds migrations, or cannot be written.

    """
    for known in (*_FILES, "versions"):
        if (folder / known).exists():
            raise ConfigurationError(
                f"{folder / known} exists already: choose another folder, or remove it first"
            )
    first, _, rest = name.partition(".")
    values = {
        "import": f"from {module} import {first}",
        "metadata": ".".join(part for part in (first, rest) if part)
        + ("" if is_metadata else ".metadata"),
    }
    texts = {
        "env.py": Template(_template("env.py.txt")).substitute(values),
        "script.py.mako": _template("script.py.mako"),
        "alembic.ini": _template("alembic.ini"),
    }
    try:
        (folder / "versions").mkdir(parents=True)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write to {folder}: {error.strerror}") from None
    return [folder / file for file in (*texts, "versions")]


def new(session: Session, tree: Tree, message: str) -> list[Path]:
    """Write a revision with what the models have and the database has not; nothing if equal.

    Raises:
        ConfigurationError: revisions are pending, there are several heads, or `env.py` fails.

    """

    def drop_if_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
        if directives and directives[0].upgrade_ops.is_empty():
            directives.clear()

    session.tree = tree.name
    config = tree.config(attributes={ATTRIBUTE: session})
    with plain_failures(tree, session):
        made = command.revision(
            config, message, autogenerate=True, process_revision_directives=drop_if_empty
        )
    return _paths(made)


def new_empty(tree: Tree, message: str) -> list[Path]:
    """Write a revision to fill in by hand; needs no database."""
    with plain_failures(tree):
        return _paths(command.revision(tree.config(), message))


def merge(tree: Tree, revisions: Sequence[str], message: str) -> list[Path]:
    """Write a revision that joins several heads; needs no database."""
    with plain_failures(tree):
        return _paths(command.merge(tree.config(), tuple(revisions), message))


def _paths(made: Any) -> list[Path]:
    scripts = made if isinstance(made, list) else [made]
    return [Path(script.path) for script in scripts if script is not None]


def _template(name: str) -> str:
    file = resources.files("vaultdb.alembic").joinpath("templates", name)
    return file.read_text(encoding="utf-8")
