"""What `vaultdb adopt` works with: each step logs in as the role that it is for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vaultdb.cli.job_tools import JobTools
from vaultdb.cli.models import NO_MODELS, load_models
from vaultdb.cli.opening import open_connection, open_keyring
from vaultdb.cli.options import Options, options_of
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.adopt.adoption import Adoption, Foreign, find_adoption, placed
from vaultdb.jobs.adopt.foreign.formats import Format
from vaultdb.jobs.adopt.foreign.padding import Padding
from vaultdb.jobs.adopt.reading import OldRows
from vaultdb.jobs.adopt.secrets import KeySource
from vaultdb.jobs.adopt.task import reader_of
from vaultdb.jobs.recording import Recorder, recorded

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

    from vaultdb.keys.keyring import Keyring
    from vaultdb.settings.model import Role


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a job works.

    Args:
        workers: how many at once.
        max_lag: seconds that a replica may be behind.
        max_rows_per_second: of all workers together.

    """

    workers: int = 1
    max_lag: float | None = None
    max_rows_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """What a command was told.

    Args:
        options: of this run.
        models: the application's.
        names: what `--model` said.

    """

    options: Options
    models: list[MetaData]
    names: tuple[str, ...] = ()

    def find(self, table: str, column: str) -> Adoption:
        """Return the adoption of a column."""
        return find_adoption(self.models, table, column)

    def place(self, table: str, column: str) -> Adoption:
        """Return the same with the table's schema: an administrator's login searches none."""
        with self.rows("find the table") as connection:
            return placed(self.find(table, column), connection)

    @contextmanager
    def rows(self, doing: str) -> Iterator[Connection]:
        """Give a connection by the rotator's login."""
        with open_connection(self.options.settings("rotator"), doing) as connection:
            yield connection

    @contextmanager
    def changing(self, role: Role, doing: str) -> Iterator[Connection]:
        """Give a connection of the migrator or the administrator, in autocommit."""
        settings = self.options.settings(role)
        if role == "admin" and settings.database.url is None:
            raise ConfigurationError(
                "this needs an administrator's login: set VAULTDB_ADMIN_URL, or url in"
                " [role.admin.database] of vaultdb.toml"
            )
        is_admin = role == "admin"
        with open_connection(settings, doing, searches_models=not is_admin) as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def keyring(self) -> Iterator[Keyring]:
        """Give the keys of the role that re-encrypts."""
        with open_keyring(self.options.settings("reencryptor")) as keyring:
            yield keyring

    def tools(self, adoption: Adoption, pace: Pace) -> JobTools:
        """Return what opens a worker's tools: the rotator's rows, the reencryptor's keys."""
        return JobTools(
            self.options,
            self.names,
            adoption.table.fullname,
            threads=pace.workers,
            max_lag=pace.max_lag,
            max_rows_per_second=pace.max_rows_per_second,
        )

    def recorded(self, command: str, adoption: Adoption) -> AbstractContextManager[Recorder]:
        """Record that a command works on a column, by the rotator's login."""
        settings = self.options.settings("rotator")
        return recorded(settings, f"adopt {command}", str(adoption.target))

    def old_rows(self, adoption: Adoption, foreign: Foreign | None, tenant: str) -> OldRows:
        """Return what reads the old column."""
        settings = self.options.settings("reencryptor")
        reader = None if foreign is None else reader_of(foreign, settings)
        return OldRows(adoption, reader=reader, tenant=tenant)

    def tenant(self, given: str | None) -> str:
        """Return whose rows are that do not say so."""
        return self.options.settings("reencryptor").tenant if given is None else given


def setup(context: typer.Context, models: list[str] | None) -> Setup:
    """Load the models of a command.

    Raises:
        ConfigurationError: nobody says where they are.

    """
    options = options_of(context)
    found = load_models(models, options.settings())
    if not found:
        raise ConfigurationError(NO_MODELS)
    return Setup(options, found, tuple(models or ()))


def foreign_of(
    source: Format | None,
    padding: Padding,
    file: Path | None,
    vault: str | None,
    key: str | None,
) -> Foreign | None:
    """Return the old format that the options describe.

    Raises:
        ConfigurationError: a key without a format, a format without its key, or a key that
            everybody on the machine can see.

    """
    if key is not None:
        raise ConfigurationError(
            "a key on the command line shows in the list of processes: put it into a file and say"
            " --key-file, or into vault and say --key-vault; count this one as known"
        )
    if source is None:
        if file is not None or vault is not None:
            raise ConfigurationError("say what the old key belongs to with --from FORMAT")
        return None
    return Foreign(source, KeySource(file, vault), padding)
