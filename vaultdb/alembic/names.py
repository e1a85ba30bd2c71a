"""Keep the catalogue of logical names in step with the user's migrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from vaultdb.db import catalogue
from vaultdb.db.schema import SCHEMA
from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from vaultdb.alembic.session import Session


def check_names(session: Session, metadata: MetaData | None) -> None:
    """Refuse before anything is changed if the names could not be recorded afterwards.

    Raises:
        ConfigurationError: a column was renamed without its name, or changed its type.

    """
    with session.transaction():
        if metadata is None or not _has_catalogue(session.connection):
            return
        found = catalogue.compare(session.connection, catalogue.declared_names([metadata]))
    retyped = catalogue.Comparison(retyped=found.retyped).problems()
    if retyped:
        raise ConfigurationError("; ".join(retyped))


def record_names(session: Session, context: Any, metadata: MetaData | None) -> None:
    """Record the names of the models, if the database is where the models are.

    Raises:
        ConfigurationError: a column was renamed without keeping its name.

    """
    with session.transaction():
        if metadata is None or not _is_newest(context):
            return
        if not _has_catalogue(session.connection):
            session.say("logical names are not recorded: run: vaultdb migrate up")
            return
        declared = catalogue.declared_names([metadata])
        missing = catalogue.compare(session.connection, declared).missing
        for name in missing:
            session.say(f"no revision makes column {name.place}; run: vaultdb migrate new MESSAGE")
        there = [name for name in declared if name not in missing]
        session.recorded = catalogue.record(session.connection, there)


def _is_newest(context: Any) -> bool:
    migration = context.get_context()
    return set(migration.get_current_heads()) == set(migration.script.get_heads())


def _has_catalogue(connection: Connection) -> bool:
    name = f"{SCHEMA}.logical_name"
    return connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is not None
