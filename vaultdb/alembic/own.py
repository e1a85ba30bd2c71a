"""vaultdb's own migrations: the schema `vaultdb`, its realm and its grants.

One transaction does it all: realm check, revisions, realm, grants. It runs as the owner where
that role exists, so that no login owns anything.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from alembic import command
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, func, insert, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateSchema

from vaultdb.alembic.patience import Patience
from vaultdb.alembic.session import ATTRIBUTE, Session, migrating
from vaultdb.alembic.trees import OWN, own_tree
from vaultdb.db import grants
from vaultdb.db.realm import check_realm, read_realm, record_realm
from vaultdb.db.role_names import RoleNames
from vaultdb.db.schema import SCHEMA, data_key_table, realm_table
from vaultdb.errors import ConfigurationError, SchemaError


@dataclass(frozen=True, slots=True)
class Migrated:
    """What one run did."""

    revisions: tuple[str, ...]
    """Revisions applied or reverted, in order, each with its title."""
    realm: UUID
    owner: str
    granted: tuple[str, ...]
    absent: tuple[str, ...]
    """Capability roles that do not exist and therefore got no grants."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database stands."""

    current: str | None
    head: str
    pending: tuple[str, ...]
    realm: UUID | None


def check_revision(revision: str) -> None:
    """Refuse a revision that does not exist; `base` is the empty database, `head` the newest.

    Raises:
        ConfigurationError: names the revisions that there are.

    """
    steps = own_tree().script().walk_revisions()
    known = ["base", *reversed([step.revision for step in steps]), "head"]
    if revision not in known:
        raise ConfigurationError(f"there is no revision {revision}; known: {', '.join(known)}")


def upgrade(
    bind: Engine | str,
    *,
    realm: UUID,
    revision: str = "head",
    names: RoleNames | None = None,
    patience: Patience | None = None,
    allow_superuser: bool = False,
) -> Migrated:
    """Bring the database up to `revision`, record `realm`, and grant to the capability roles.

    Args:
        bind: the migrator's engine or URL.
        realm: the realm of the settings; recorded once, afterwards only compared.
        revision: where to stop; `head` is the newest.
        names: the capability roles.
        patience: how long to wait for locks.
        allow_superuser: let a superuser migrate.

    Raises:
        SchemaError: another realm's database, another migration is running, or a lock.
        ConfigurationError: the login belongs to the application or lacks a privilege, or there is
            no such revision.

    """
    check_revision(revision)
    with migrating(
        bind, names=names, patience=patience, allow_superuser=allow_superuser
    ) as session:
        return upgrade_in(session, realm=realm, revision=revision)


def upgrade_in(session: Session, *, realm: UUID, revision: str = "head") -> Migrated:
    """Do what `upgrade` does in a session that is ready; in its transaction if it has one."""
    check_revision(revision)
    connection = session.connection
    first = len(session.steps)

    def work() -> Migrated:
        del session.steps[first:]
        with session.transaction():
            _make_schema(connection)
            if exists(connection, "realm"):
                record_realm(connection, realm)
            _run(session, command.upgrade, revision)
            if exists(connection, "realm"):
                record_realm(connection, realm)
                granted, absent = _grant(session)
            else:
                granted, absent = (), ()
        revisions = tuple(map(str, session.steps[first:]))
        return Migrated(revisions, realm, session.owner, granted, absent)

    return session.retrying(work)


def downgrade_in(
    session: Session, *, realm: UUID, revision: str, destroy_keys: bool = False
) -> Migrated:
    """Take the database back to `revision` (`base` removes everything).

    Args:
        session: made by `vaultdb.alembic.session.migrating`.
        realm: the realm of the settings, compared first.
        revision: where to stop.
        destroy_keys: go on although data keys are stored; without them no ciphertext can ever be
            read again.

    Raises:
        SchemaError: data keys are stored and `destroy_keys` is false, another realm, or a lock.
        ConfigurationError: there is no such revision.

    """
    check_revision(revision)
    connection = session.connection
    first = len(session.steps)

    def work() -> Migrated:
        del session.steps[first:]
        with session.transaction():
            if exists(connection, "realm"):
                check_realm(connection, realm)
            keys = count_keys(connection)
            if keys and not destroy_keys:
                raise SchemaError(
                    f"{keys} data keys are stored and would be destroyed, and every value encrypted"
                    " under them with them; back up vaultdb.data_key, then say --destroy-keys"
                )
            if exists(connection, "alembic_version"):
                _run(session, command.downgrade, revision)
        revisions = tuple(map(str, session.steps[first:]))
        return Migrated(revisions, realm, session.owner, (), ())

    return session.retrying(work)


def status(connection: Connection) -> Status:
    """Return the database's revision, the newest one, and what lies between them."""
    script = own_tree().script()
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    current = context.get_current_revision() if exists(connection, "alembic_version") else None
    head = script.get_current_head() or ""
    pending = [
        f"{step.revision} {step.doc.splitlines()[0].rstrip('.').lower()}"
        for step in script.iterate_revisions(head, current or "base")
    ]
    realm = read_realm(connection) if exists(connection, "realm") else None
    return Status(current, head, tuple(reversed(pending)), realm)


def offline_sql(*, realm: UUID, revision: str = "head", names: RoleNames | None = None) -> str:
    """Return the SQL of `upgrade` from nothing, for a DBA to read and run with `psql`."""
    check_revision(revision)
    names = names or RoleNames()
    buffer = io.StringIO()
    command.upgrade(own_tree().config(buffer), revision, sql=True)
    before, commit, after = buffer.getvalue().rpartition("COMMIT;")
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    record = insert(realm_table).values(realm=realm)
    record_sql = record.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    closing = f"{record_sql};\n\n{grants.guarded_grants(names)};"
    opening = f"-- run as the role that is to own the objects, best {names.owner}\n"
    return f"{opening}{before}{closing}\n\n{commit}{after}"


def count_keys(connection: Connection) -> int:
    """Return how many data keys are stored; 0 when there is no such table."""
    if not exists(connection, "data_key"):
        return 0
    return connection.scalar(select(func.count()).select_from(data_key_table)) or 0


def exists(connection: Connection, table: str) -> bool:
    """Whether the schema `vaultdb` has a table."""
    name = f"{SCHEMA}.{table}"
    return connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is not None


def _run(session: Session, migrate: Any, revision: str) -> None:
    session.tree = OWN
    migrate(own_tree().config(attributes={ATTRIBUTE: session}), revision)


def _make_schema(connection: Connection) -> None:
    if connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": SCHEMA}) is None:
        connection.execute(CreateSchema(SCHEMA))


def _grant(session: Session) -> tuple[tuple[str, ...], tuple[str, ...]]:
    roles = grants.privileges(session.names)
    query = text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:roles)")
    found = set(session.connection.scalars(query, {"roles": list(roles)}))
    granted = tuple(role for role in roles if role in found)
    for role in granted:
        for statement in grants.grants_for(role, session.names):
            session.connection.execute(text(statement))
    return granted, tuple(role for role in roles if role not in found)
