"""procrastinate's connections, made by an engine of ours: login, certificate and TLS checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from procrastinate import PsycopgConnector
from psycopg import sql
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from vaultdb.db.connect import attach, connect_arguments
from vaultdb.jobs.distributed.schema import SCHEMA

if TYPE_CHECKING:
    from vaultdb.db.login.credentials import Credentials
    from vaultdb.settings import Settings

CONNECTIONS = 3
"""One listens, one fetches and finishes jobs, one is spare."""


def connector_for(
    settings: Settings, credentials: Credentials, *, connections: int = CONNECTIONS
) -> PsycopgConnector:
    """Return a connector that logs in as these settings say.

    Args:
        settings: of the role that works on jobs.
        credentials: of the same settings; closed by the caller, after the connector.
        connections: at most.

    """
    url, arguments = connect_arguments(settings.database, is_async=True)
    engine = create_async_engine(
        url, connect_args=arguments, poolclass=NullPool, hide_parameters=True
    )
    attach(engine.sync_engine, settings.database, credentials)
    return PsycopgConnector(
        connection_class=_connection_class(engine), min_size=1, max_size=connections
    )


def _connection_class(engine: AsyncEngine) -> type[psycopg.AsyncConnection[Any]]:
    class Prepared(psycopg.AsyncConnection[Any]):
        """Connects as the engine does, and looks names up in procrastinate's schema only."""

        @classmethod
        async def connect(cls, conninfo: str = "", **options: Any) -> Any:
            del cls, conninfo, options
            fairy = await greenlet_spawn(engine.sync_engine.raw_connection)
            driver: Any = fairy.driver_connection
            fairy.detach()
            await driver.rollback()
            await driver.set_autocommit(True)
            driver.cursor_factory = psycopg.AsyncCursor
            # pg_temp last: nobody's temporary table can stand before one of these.
            path = sql.SQL("SET search_path = {}, pg_catalog, pg_temp")
            await driver.execute(path.format(sql.Identifier(SCHEMA)))
            return driver

    return Prepared
