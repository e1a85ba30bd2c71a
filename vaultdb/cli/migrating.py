"""What every `vaultdb migrate` command needs: settings, trees, and a session of the migrator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaultdb.alembic.login import migrator_engine
from vaultdb.alembic.patience import ATTEMPTS, LOCK_TIMEOUT, Patience
from vaultdb.alembic.session import Session, connected, migrating
from vaultdb.alembic.trees import APP, OWN, Tree, app_tree, own_tree
from vaultdb.cli.models import load_metadata
from vaultdb.cli.options import options_of
from vaultdb.db.failures import plain_failures
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Engine, MetaData

    from vaultdb.settings import Settings

Folder = Annotated[
    Path | None,
    typer.Option(
        "--migrations", metavar="DIR", help="Your own tree; default: the setting migrations."
    ),
]
Only = Annotated[
    str | None,
    typer.Option("--tree", metavar="TREE", help="vaultdb or app: this one, and not the other."),
]
To = Annotated[str, typer.Option("--to", metavar="REVISION", help="Stop here.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="MODULE:NAME", help="Models in place of those of env.py."
    ),
]
Wait = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", help="Wait for another migration to end.")
]
LockTimeout = Annotated[
    float,
    typer.Option("--lock-timeout", metavar="SECONDS", help="Longest wait for a locked table."),
]
Attempts = Annotated[
    int, typer.Option("--attempts", metavar="N", help="How often to try a locked table.")
]
Superuser = Annotated[bool, typer.Option("--allow-superuser", help="Let a superuser migrate.")]

__all__ = [
    "ATTEMPTS", "LOCK_TIMEOUT", "Attempts", "Folder", "LockTimeout", "Model", "Only", "Setup",
    "Superuser", "To", "Wait", "setup",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setup:
    """Settings of the migrator, and the user's tree if there is one."""

    settings: Settings
    app: Tree | None
    only: str | None
    models: MetaData | None
    allow_superuser: bool

    @property
    def names(self) -> RoleNames:
        """The capability roles."""
        return RoleNames.of(self.settings.database)

    def require_app(self) -> Tree:
        """Return the user's tree.

        Raises:
            ConfigurationError: there is none.

        """
        if self.app is None:
            raise ConfigurationError(
                "there are no migrations of yours: set migrations in vaultdb.toml"
                " (VAULTDB_MIGRATIONS), say --migrations DIR, or run: vaultdb migrate init DIR"
            )
        return self.app

    def one_tree(self) -> Tree:
        """Return the tree that a revision belongs to: the user's, if there is one."""
        if self.only == OWN or (self.only is None and self.app is None):
            return own_tree()
        return self.require_app()

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        """Give the migrator's engine; a login that Vault lent is given back at the end."""
        engine = migrator_engine(self.settings)
        try:
            yield engine
        finally:
            engine.dispose()

    @contextmanager
    def changing(self, patience: Patience, tell: Callable[[str], None]) -> Iterator[Session]:
        """Give a session that holds the lock of migrations."""
        with (
            self._engine() as engine,
            plain_failures("migrate", unavailable=ConfigurationError),
            migrating(
                engine,
                names=self.names,
                patience=patience,
                allow_superuser=self.allow_superuser,
                tell=tell,
            ) as session,
        ):
            session.models = self.models
            yield session

    @contextmanager
    def looking(self) -> Iterator[Session]:
        """Give a session that only looks."""
        with (
            self._engine() as engine,
            plain_failures("look at the migrations", unavailable=ConfigurationError),
            connected(engine, names=self.names, allow_superuser=True) as session,
        ):
            session.models = self.models
            yield session


def setup(
    context: typer.Context,
    folder: Path | None,
    only: str | None = None,
    *,
    model: str | None = None,
    allow_superuser: bool = False,
) -> Setup:
    """Read the settings of the migrator, find the user's tree, import the models.

    Raises:
        ConfigurationError: a setting, a folder, or an option that does not fit.

    """
    if only not in (None, OWN, APP):
        raise ConfigurationError(f"--tree {only}: choose {OWN} or {APP}")
    settings = options_of(context).settings("migrator")
    folder = folder or settings.migrations
    app = app_tree(folder) if folder is not None and only != OWN else None
    name = model or settings.models
    models = load_metadata(name) if name is not None and app is not None else None
    allowed = allow_superuser or settings.database.allow_excess_rights
    return Setup(settings, app, only, models, allowed)
