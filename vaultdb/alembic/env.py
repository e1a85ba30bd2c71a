"""The whole `env.py` of a user's migrations, in one call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.schema import CreateSchema

from vaultdb.alembic import autogenerate, facts
from vaultdb.alembic.autocommit import guard_autocommit
from vaultdb.alembic.hooks import composed
from vaultdb.alembic.login import migrator_engine
from vaultdb.alembic.names import check_names, record_names
from vaultdb.alembic.session import ATTRIBUTE, Session, connected, migrating
from vaultdb.alembic.steps import Steps, note_in_audit
from vaultdb.alembic.trees import OWN
from vaultdb.db.role_names import RoleNames
from vaultdb.db.schema import MIGRATIONS_SCHEMA
from vaultdb.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from vaultdb.alembic.patience import Patience


def run(
    context: Any,
    target_metadata: MetaData | None = None,
    *,
    patience: Patience | None = None,
    allow_superuser: bool = False,
    **options: Any,
) -> None:
    """Run what the `alembic` or `vaultdb migrate` command asks for; the rest of `env.py`.

    Online it acts as the owner, one migration at a time, with a transaction per revision, and
    tries again when a lock is in the way. Offline (`--sql`) it needs no settings.

        from alembic import context
        from clinic.models import Base
        import vaultdb.alembic

        vaultdb.alembic.run(context, Base.metadata)

    Args:
        context: `alembic.context`.
        target_metadata: of the models.
        patience: how long to wait for locks; `vaultdb migrate` has options for it.
        allow_superuser: let a superuser migrate.
        **options: arguments of `context.configure`; hooks are composed with vaultdb's, everything
            else replaces vaultdb's, such as `version_table_schema`.

    Raises:
        ConfigurationError: the settings, or the login is the wrong one.
        SchemaError: another migration is running, or a lock was in the way too often.

    """
    given: Session | None = context.config.attributes.get(ATTRIBUTE)
    if given is not None and given.models is not None and given.tree != OWN:
        target_metadata = given.models
    if context.is_offline_mode():
        _run_offline(context, _options(target_metadata, options, RoleNames()))
        return
    with _session(context, given, patience, allow_superuser=allow_superuser) as session:
        session.was_used, session.metadata = True, target_metadata
        _run_online(context, session, _options(target_metadata, options, session.names))


def _options(metadata: MetaData | None, given: dict[str, Any], names: RoleNames) -> dict[str, Any]:
    ours: dict[str, Any] = {
        "version_table_schema": MIGRATIONS_SCHEMA,
        # A revision with an autocommit_block ends its transaction; no other's may end with it.
        "transaction_per_migration": True,
        "target_metadata": metadata,
    }
    if metadata is not None:
        ours |= autogenerate.options(metadata, names=names)
    return composed(ours, given)


def _run_offline(context: Any, options: dict[str, Any]) -> None:
    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **options,
    )
    migration = context.get_context()
    with context.begin_transaction():
        if migration.version_table_schema is not None:
            migration.execute(CreateSchema(migration.version_table_schema, if_not_exists=True))
        context.run_migrations()


@contextmanager
def _session(
    context: Any, given: Session | None, patience: Patience | None, *, allow_superuser: bool
) -> Iterator[Session]:
    """Give the session of `vaultdb migrate`, or one of our own for the `alembic` command."""
    if given is not None:
        yield given
        return
    settings = Settings.load(role="migrator")
    names = RoleNames.of(settings.database)
    allow = allow_superuser or settings.database.allow_excess_rights
    engine = migrator_engine(settings)
    try:
        if _is_migrating(context):
            opened = migrating(
                engine, names=names, patience=patience, allow_superuser=allow, tell=_tell
            )
        else:
            opened = connected(engine, names=names, allow_superuser=allow, tell=_tell)
        with opened as session:
            yield session
    finally:
        engine.dispose()


def _tell(notice: str) -> None:
    """Say it aloud: whoever runs the `alembic` command has not configured our loggers."""
    sys.stderr.write(f"vaultdb: {notice}\n")


def _is_migrating(context: Any) -> bool:
    """Whether the command changes the database; `current`, `check` and `revision` do not."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def _run_online(context: Any, session: Session, options: dict[str, Any]) -> None:
    connection, metadata = session.connection, options["target_metadata"]
    default = connection.dialect.default_schema_name or "public"
    schemas = facts.schemas_of([metadata] if metadata is not None else [], default)
    recording = {"on_version_apply": note_in_audit(session, schemas)}
    chosen = composed(recording, options) | {"connection": connection}
    is_ours = not connection.in_transaction()
    context.configure(**chosen)
    migration = context.get_context()
    if "destination_rev" not in migration.opts:
        context.configure(**chosen, dont_mutate=True)
        with context.begin_transaction():
            context.run_migrations()
        if is_ours:  # looking for the version table began a transaction
            connection.rollback()
        return
    steps = Steps(session, migration.opts["fn"])

    def attempt() -> None:
        context.configure(**chosen, fn=steps)
        guard_autocommit(context.get_context(), session)
        with context.begin_transaction():
            context.run_migrations()
        if is_ours:
            connection.commit()

    _prepare(session, migration.version_table_schema)
    check_names(session, metadata)
    session.retrying(attempt)
    if steps.went_up:
        record_names(session, context, metadata)


def _prepare(session: Session, schema: str | None) -> None:
    """Make the schema of the version table; as the owner, so nobody else sees into it."""
    connection = session.connection
    with session.transaction():
        if schema is not None and not _has_schema(connection, schema):
            connection.execute(CreateSchema(schema, if_not_exists=True))


def _has_schema(connection: Connection, schema: str) -> bool:
    query = text("SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = :schema)")
    return bool(connection.scalar(query, {"schema": schema}))
