"""Run both trees: vaultdb's own first, then the user's."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from alembic import command
from alembic.runtime.environment import EnvironmentContext

from vaultdb.alembic import own
from vaultdb.alembic.failures import plain_failures
from vaultdb.alembic.session import ATTRIBUTE, Session
from vaultdb.alembic.trees import APP, OWN, Tree, own_tree
from vaultdb.db.realm import read_realm
from vaultdb.errors import ConfigurationError

if TYPE_CHECKING:
    from vaultdb.db.role_names import RoleNames


@dataclass(frozen=True, slots=True)
class TreeStatus:
    """Where a database stands in one tree."""

    tree: str
    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[str, ...]
    """Revisions to apply, in order, each with its title."""


def upgrade(
    session: Session,
    *,
    realm: UUID,
    app: Tree | None,
    only: str | None = None,
    revision: str = "head",
) -> own.Migrated | None:
    """Bring the database up to date; `revision` is where the last of the trees stops.

    Args:
        session: made by `vaultdb.alembic.session.migrating`.
        realm: the realm of the settings.
        app: the user's tree, if there is one.
        only: `vaultdb` or `app`, to leave the other alone.
        revision: of the user's tree, or of vaultdb's own where that is the only one.

    Returns:
        What was done in vaultdb's own tree, if it was run. `session` knows every step.

    Raises:
        SchemaError: a revision failed, another realm, or a lock.
        ConfigurationError: no such revision, or a tree that cannot be run.

    """
    app = _chosen(app, only)
    done = None
    if only != APP:
        with plain_failures(own_tree(), session):
            done = own.upgrade_in(session, realm=realm, revision="head" if app else revision)
    if app is not None:
        _run(session, app, lambda config: command.upgrade(config, revision))
    return done


def downgrade(
    session: Session, *, realm: UUID, tree: Tree, revision: str, destroy_keys: bool = False
) -> None:
    """Take one tree back to `revision`.

    Raises:
        SchemaError: a revision failed, data keys would be destroyed, another realm, or a lock.
        ConfigurationError: no such revision, or a tree that cannot be run.

    """
    if tree.name == OWN:
        with plain_failures(tree, session):
            own.downgrade_in(session, realm=realm, revision=revision, destroy_keys=destroy_keys)
    else:
        _run(session, tree, lambda config: command.downgrade(config, revision))


def status(session: Session, *, app: Tree | None) -> tuple[list[TreeStatus], UUID | None]:
    """Return where the database stands in both trees, and its realm; changes nothing."""
    connection = session.connection
    with plain_failures(own_tree()):
        ours = own.status(connection)
        realm = read_realm(connection) if own.exists(connection, "realm") else None
        connection.commit()
    current = (ours.current,) if ours.current else ()
    found = [TreeStatus(OWN, current, (ours.head,), ours.pending)]
    if app is not None:
        found.append(_status_of(session, app))
    return found, realm


def offline_sql(
    *, realm: UUID, app: Tree | None, only: str | None, revisions: str, names: RoleNames
) -> str:
    """Return the SQL of an upgrade of both trees, for somebody else to read and run.

    Args:
        realm: the realm of the settings.
        app: the user's tree, if there is one.
        only: `vaultdb` or `app`, to leave the other out.
        revisions: of the last of the trees: where to stop, or `FROM:TO`.
        names: the capability roles.

    """
    app = _chosen(app, only)
    parts = []
    if only != APP:
        parts.append(
            own.offline_sql(realm=realm, revision="head" if app else revisions, names=names)
        )
    if app is not None:
        buffer = io.StringIO()
        with plain_failures(app):
            command.upgrade(app.config(buffer), revisions, sql=True)
        parts += [buffer.getvalue(), "-- afterwards: vaultdb names sync\n"]
    return "\n".join(parts)


def examine(session: Session, tree: Tree, look: Callable[[tuple[str, ...], Any], Any]) -> None:
    """Run the user's `env.py` only to call `look(heads, migration context)`.

    Raises:
        ConfigurationError: `env.py` does not call `vaultdb.alembic.run`, or fails.

    """
    script = tree.script()

    def work(heads: tuple[str, ...], migration: Any) -> list[Any]:
        look(heads, migration)
        return []

    environment = EnvironmentContext(
        _config(session, tree), script, fn=work, as_sql=False, dont_mutate=True
    )
    with plain_failures(tree, session), environment:
        script.run_env()
    _check_used(session, tree)


def _status_of(session: Session, tree: Tree) -> TreeStatus:
    found: list[TreeStatus] = []

    def look(heads: tuple[str, ...], migration: Any) -> None:
        script = migration.script
        newest = tuple(script.get_heads())
        known = script.revision_map
        pending = [
            f"{step.revision} {(step.doc or '').rstrip('.').lower()}".rstrip()
            for step in known.iterate_revisions("heads", heads or "base", implicit_base=True)
        ]
        found.append(TreeStatus(tree.name, heads, newest, tuple(reversed(pending))))

    examine(session, tree, look)
    return found[0]


def _run(session: Session, tree: Tree, migrate: Callable[[Any], None]) -> None:
    # A first look refuses an env.py that would connect by itself, before it changes anything.
    examine(session, tree, lambda _heads, _migration: None)
    with plain_failures(tree, session):
        migrate(_config(session, tree))


def _config(session: Session, tree: Tree) -> Any:
    session.tree, session.was_used = tree.name, False
    return tree.config(attributes={ATTRIBUTE: session})


def _check_used(session: Session, tree: Tree) -> None:
    if not session.was_used:
        raise ConfigurationError(
            f"{tree.folder / 'env.py'} does not call vaultdb.alembic.run(context, metadata), so it"
            " would migrate with another login; compare it with that of: vaultdb migrate init"
        )


def _chosen(app: Tree | None, only: str | None) -> Tree | None:
    if only == APP and app is None:
        raise ConfigurationError(
            "there are no migrations of yours: set migrations in vaultdb.toml"
            " (VAULTDB_MIGRATIONS), or say --migrations DIR"
        )
    return None if only == OWN else app
