"""Open what a worker of a job needs; made anew in each process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import MetaData, QueuePool

from vaultdb.cli.models import load_models
from vaultdb.cli.opening import key_store
from vaultdb.cli.options import Options
from vaultdb.db.connect import new_engine
from vaultdb.db.quoting import qualified
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.work.dead_rows import MAX_BLOAT, DeadRows
from vaultdb.jobs.work.pace import Pace
from vaultdb.jobs.work.task import Tools
from vaultdb.vault.factory import new_keyring

if TYPE_CHECKING:
    from vaultdb.jobs.work.throttle import Throttle


@dataclass(frozen=True, slots=True)
class JobTools:
    """What opens the tools; can be pickled, and holds no key and no password.

    It unwraps with the Vault login of the role reencryptor and changes rows with the database login
    of the role rotator.

    Args:
        options: what stood before the command.
        models: MODULE:NAME of each of the models; empty for those of the settings.
        table: the table that is worked on, which picks the models that have it.
        threads: workers that share the tools.
        max_lag: seconds that a replica may be behind.
        max_rows_per_second: of each worker.
        max_bloat: dead rows for each living one, from which on workers wait for autovacuum.

    """

    options: Options
    models: tuple[str, ...] = ()
    table: str = ""
    threads: int = 1
    max_lag: float | None = None
    max_rows_per_second: float | None = None
    max_bloat: float = MAX_BLOAT

    def of(self, table: str) -> JobTools:
        """Return the same for a table."""
        return replace(self, table=table)

    @contextmanager
    def __call__(self) -> Iterator[Tools]:
        """Give the tools and close them afterwards."""
        opening = self.options.settings("reencryptor")
        changing = self.options.settings("rotator")
        engine = new_engine(changing, poolclass=QueuePool, pool_size=3 * self.threads + 1)
        try:
            with key_store(changing) as store, closing(new_keyring(opening, store)) as keyring:
                yield Tools(
                    metadata=self._metadata(),
                    keyring=keyring,
                    settings=opening,
                    engine=engine,
                    throttle=self._throttle(),
                )
        finally:
            engine.dispose()

    def _metadata(self) -> MetaData:
        for metadata in load_models(list(self.models), self.options.settings()):
            if self.table in metadata.tables:
                return metadata
        raise ConfigurationError(f"the models have no table {self.table}; name them with --model")

    def _throttle(self) -> Throttle:
        table = qualified(*self.table.split(".", 1))
        return Pace(
            max_lag=self.max_lag,
            max_rows_per_second=self.max_rows_per_second,
            dead_rows=DeadRows(table, self.max_bloat) if self.max_bloat else None,
        )
