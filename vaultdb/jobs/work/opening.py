"""A worker's tools from settings: its own Vault login, its own connections, its own keyring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from sqlalchemy import MetaData, QueuePool

from vaultdb.db.connect import new_engine
from vaultdb.db.login.credentials import Credentials
from vaultdb.engine.keyring import keyring_for
from vaultdb.jobs.work.task import Tools
from vaultdb.jobs.work.throttle import NoThrottle, Throttle
from vaultdb.settings import Settings

CONNECTIONS = 3
"""Connections of one worker: one reads ahead, one stores, one looks at jobs."""


@dataclass(frozen=True, slots=True)
class OpenTools:
    """Opens the tools of a worker; can be pickled and sent to another process.

    Args:
        settings: of the role that re-encrypts, such as `Settings.load(role="reencryptor")`.
        metadata: imports the models and returns their metadata.
        throttle: makes the worker's throttle.
        workers: threads that share the tools.

    """

    settings: Settings
    metadata: Callable[[], MetaData]
    throttle: Callable[[], Throttle] = NoThrottle
    workers: int = 1

    @contextmanager
    def __call__(self) -> Iterator[Tools]:
        """Give the tools, and close them afterwards; what Vault lent is given back."""
        with ExitStack() as opened:
            credentials = opened.enter_context(closing(Credentials(self.settings)))
            engine = new_engine(
                self.settings,
                credentials=credentials,
                poolclass=QueuePool,
                pool_size=CONNECTIONS * self.workers + 1,
            )
            opened.callback(engine.dispose)
            keyring = opened.enter_context(keyring_for(self.settings, credentials)())
            yield Tools(self.metadata(), keyring, self.settings, engine, self.throttle())
