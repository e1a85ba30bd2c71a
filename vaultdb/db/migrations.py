"""Run vaultdb's own migrations: the schema `vaultdb`, its realm and its grants.

One transaction does it all: lock, realm check, revisions, realm, grants. It runs as
`vaultdb_owner` where that role exists, so that no login owns anything.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, NullPool, create_engine, func, insert, select, text
from sqlalchemy.dialects import postgresql

from vaultdb.db import grants
from vaultdb.db.realm import check_realm, read_realm, record_realm
from vaultdb.db.role_names import RoleNames
from vaultdb.db.schema import SCHEMA, data_key_table, realm_table
from vaultdb.db.url import normalise_url
from vaultdb.errors import ConfigurationError, SchemaError

NAMES = RoleNames()
"""The capability roles that migrations grant to."""

LOCK_TIMEOUT = "5s"
"""How long a migration waits for a table that the application has locked before it gives up."""


# The owner of the schema that is there, else the capability role; none if the login is no member.
_OWNER = """
    SELECT quote_ident(rolname) FROM pg_roles
    WHERE pg_has_role(oid, 'MEMBER') AND rolname = coalesce(
      (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = :schema), :owner)"""


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


def script_directory() -> Path:
    """Return the folder of the revisions, in an installed wheel or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def check_revision(revision: str) -> None:
    """Refuse a revision that does not exist; `base` is the empty database, `head` the newest.

    Raises:
        ConfigurationError: names the revisions that there are.

    """
    script = ScriptDirectory.from_config(_config())
    known = ["base", *reversed([step.revision for step in script.walk_revisions()]), "head"]
    if revision not in known:
        raise ConfigurationError(f"there is no revision {revision}; known: {', '.join(known)}")


def _config(buffer: io.StringIO | None = None, **attributes: Any) -> Config:
    config = Config(output_buffer=buffer)
    # ConfigParser reads % as the start of an interpolation.
    config.set_main_option("script_location", str(script_directory()).replace("%", "%%"))
    config.attributes.update(attributes)
    return config


def _title(script: Any) -> str:
    return f"{script.revision} {script.doc.splitlines()[0].rstrip('.').lower()}"


def upgrade(bind: Engine | Connection | str, *, realm: UUID, revision: str = "head") -> Migrated:
    """Bring the database up to `revision`, record `realm`, and grant to the capability roles.

    Args:
        bind: an engine, a connection (its transaction is used when it has one), or a URL.
        realm: the realm of the settings; recorded once, afterwards only compared.
        revision: where to stop; `head` is the newest.

    Raises:
        SchemaError: another realm's database, or another migration is running.
        ConfigurationError: the login belongs to the application or lacks a privilege, or there is
            no such revision.

    """
    check_revision(revision)
    applied: list[str] = []
    with _as_owner(bind) as connection:
        if _exists(connection, "realm"):
            record_realm(connection, realm)
        command.upgrade(_recording(connection, applied), revision)
        record_realm(connection, realm)
        granted, absent = _grant(connection)
        owner = connection.scalar(text("SELECT current_user")) or ""
    return Migrated(tuple(applied), realm, owner, granted, absent)


def downgrade(
    bind: Engine | Connection | str, *, realm: UUID, revision: str, destroy_keys: bool = False
) -> Migrated:
    """Take the database back to `revision` (`base` removes everything).

    Args:
        bind: as for `upgrade`.
        realm: the realm of the settings, compared first.
        revision: where to stop.
        destroy_keys: go on although data keys are stored; without them no ciphertext can ever be
            read again.

    Raises:
        SchemaError: data keys are stored and `destroy_keys` is false, or another realm.
        ConfigurationError: there is no such revision.

    """
    check_revision(revision)
    reverted: list[str] = []
    with _as_owner(bind) as connection:
        if _exists(connection, "realm"):
            check_realm(connection, realm)
        keys = count_keys(connection)
        if keys and not destroy_keys:
            raise SchemaError(
                f"{keys} data keys are stored and would be destroyed, and every value encrypted"
                " under them with them; back up vaultdb.data_key, then say --destroy-keys"
            )
        command.downgrade(_recording(connection, reverted), revision)
        owner = connection.scalar(text("SELECT current_user")) or ""
    return Migrated(tuple(reverted), realm, owner, (), ())


def status(connection: Connection) -> Status:
    """Return the database's revision, the newest one, and what lies between them."""
    script = ScriptDirectory.from_config(_config())
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    current = context.get_current_revision() if _exists(connection, "alembic_version") else None
    head = script.get_current_head() or ""
    pending = [_title(step) for step in script.iterate_revisions(head, current or "base")]
    realm = read_realm(connection) if _exists(connection, "realm") else None
    return Status(current, head, tuple(reversed(pending)), realm)


def offline_sql(*, realm: UUID, revision: str = "head") -> str:
    """Return the SQL of `upgrade` from nothing, for a DBA to read and run with `psql`."""
    check_revision(revision)
    buffer = io.StringIO()
    command.upgrade(_config(buffer), revision, sql=True)
    before, begin, body = buffer.getvalue().partition("BEGIN;")
    body, commit, after = body.rpartition("COMMIT;")
    opening = (
        "-- run as the role that is to own the objects, best vaultdb_owner\n"
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA};"
    )
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    record = insert(realm_table).values(realm=realm)
    record_sql = record.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    closing = f"{record_sql};\n\n{grants.guarded_grants(NAMES)};"
    return f"{before}{begin}\n\n{opening}{body}{closing}\n\n{commit}{after}"


def count_keys(connection: Connection) -> int:
    """Return how many data keys are stored; 0 when there is no such table."""
    if not _exists(connection, "data_key"):
        return 0
    return connection.scalar(select(func.count()).select_from(data_key_table)) or 0


def _recording(connection: Connection, steps: list[str]) -> Config:
    def note(*, step: Any, **_: Any) -> None:
        steps.append(_title(step.up_revision))

    return _config(connection=connection, on_version_apply=note)


def _exists(connection: Connection, table: str) -> bool:
    name = f"{SCHEMA}.{table}"
    return connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is not None


@contextmanager
def _as_owner(bind: Engine | Connection | str) -> Iterator[Connection]:
    if isinstance(bind, str):
        engine = create_engine(normalise_url(bind), poolclass=NullPool)
        with _as_owner(engine) as connection:
            yield connection
        return
    if isinstance(bind, Engine):
        with bind.begin() as connection, _as_owner(connection):
            yield connection
        return
    with bind.begin_nested() if bind.in_transaction() else bind.begin():
        _prepare(bind)
        yield bind
        bind.execute(text("RESET ROLE"))


def _prepare(connection: Connection) -> None:
    """Refuse the app's login, take the lock, make the schema, and become its owner."""
    _refuse_app(connection)
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    locked = "SELECT pg_try_advisory_xact_lock(hashtext('vaultdb.migrate'))"
    if not connection.scalar(text(locked)):
        raise SchemaError(
            "another migration of vaultdb is running on this database; wait for it to end"
        )
    owner = connection.scalar(text(_OWNER), {"schema": SCHEMA, "owner": NAMES.owner})
    if connection.scalar(text("SELECT to_regnamespace(:name)"), {"name": SCHEMA}) is None:
        authorization = f" AUTHORIZATION {owner}" if owner else ""
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}{authorization}"))
    if owner:
        connection.execute(text(f"SET LOCAL ROLE {owner}"))


def _refuse_app(connection: Connection) -> None:
    """Refuse a login of the application: it must not own or change the schema."""
    of_the_app = """
        SELECT session_user::text, r.rolname FROM pg_roles r
        WHERE r.rolname = ANY(:roles) AND pg_has_role(session_user, r.oid, 'MEMBER')
          AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)"""
    found = connection.execute(text(of_the_app), {"roles": list(grants.app_roles(NAMES))}).first()
    if found is not None:
        raise ConfigurationError(
            f"login {found[0]} is a member of {found[1]}, so it is the application's; migrations"
            " need a login of their own: set VAULTDB_MIGRATE_URL"
        )


def _grant(connection: Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    roles = grants.privileges(NAMES)
    query = text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:roles)")
    found = set(connection.scalars(query, {"roles": list(roles)}))
    granted = tuple(role for role in roles if role in found)
    for role in granted:
        for statement in grants.grants_for(role, NAMES):
            connection.execute(text(statement))
    return granted, tuple(role for role in roles if role not in found)
