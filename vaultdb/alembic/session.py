"""The session that migrates: the right login, acting as the owner, alone, and in no hurry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from vaultdb.alembic import lock
from vaultdb.alembic.patience import Patience
from vaultdb.alembic.statements import shipped
from vaultdb.db.grants import app_roles
from vaultdb.db.own_path import own_path
from vaultdb.db.role_names import RoleNames
from vaultdb.db.schema import SCHEMA
from vaultdb.db.url import normalise_url
from vaultdb.errors import ConfigurationError
from vaultdb.logs import MIGRATIONS

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from vaultdb.db.catalogue import Comparison

T = TypeVar("T")

ATTRIBUTE = "vaultdb.session"
"""Under which name an Alembic `Config` carries the session to `env.py`."""

_LOGIN = shipped("login")
# A migration is long where an application's statement is stuck; what is ours waits for no one else.
_NO_TIMEOUT = text("SET statement_timeout = 0")


@dataclass(frozen=True, slots=True)
class Step:
    """One revision that was applied or reverted."""

    tree: str
    revision: str
    title: str
    seconds: float
    is_upgrade: bool

    def __str__(self) -> str:
        return f"{self.revision} {self.title}".rstrip()


@dataclass(eq=False, kw_only=True)
class Session:
    """What `env.py` needs to know, and what it leaves behind."""

    connection: Connection
    login: str
    owner: str
    """As whom the session acts: whatever it creates belongs to this role."""
    names: RoleNames = field(default_factory=RoleNames)
    patience: Patience = field(default_factory=Patience)
    tree: str = "app"
    """The name of the tree that is being run."""
    is_preview: bool = False
    """Everything in one transaction, which is rolled back."""
    began: Callable[[str, str], None] = lambda _tree, _revision: None
    """Told of each revision before it runs."""
    ended: Callable[[Step], None] = lambda _step: None
    """Told of each revision once it is committed; in a preview once it is done."""
    tell: Callable[[str], None] = MIGRATIONS.warning
    """Told of what the operator should know while it happens."""
    steps: list[Step] = field(default_factory=list)
    running: str | None = None
    """The revision that is running, or that failed."""
    has_committed: bool = False
    """Whether the running revision ended its transaction with an `autocommit_block`."""
    notices: list[str] = field(default_factory=list)
    models: MetaData | None = None
    """Models named on the command line, in place of those of `env.py`."""
    metadata: MetaData | None = None
    """The models that `run` used last."""
    recorded: Comparison | None = None
    """The logical names that were recorded after the upgrade."""
    was_used: bool = False
    """Whether `env.py` called `run`."""

    def say(self, notice: str) -> None:
        """Tell the operator something, once."""
        if notice not in self.notices:
            self.notices.append(notice)
            self.tell(notice)

    def transaction(self) -> AbstractContextManager[Any]:
        """Begin a transaction, unless there is one already, as in a preview."""
        begun = self.connection.in_transaction()
        return nullcontext() if begun else self.connection.begin()

    def retrying(self, work: Callable[[], T]) -> T:
        """Do `work` again as long as locks are in its way; not inside somebody's transaction."""
        if self.connection.in_transaction():
            return work()
        return lock.retrying(
            self.connection,
            self.patience,
            work,
            may_retry=lambda: not self.has_committed,
            say=self.say,
        )


@contextmanager
def migrating(
    bind: Engine | str,
    *,
    names: RoleNames | None = None,
    patience: Patience | None = None,
    allow_superuser: bool = False,
    tell: Callable[[str], None] = MIGRATIONS.warning,
) -> Iterator[Session]:
    """Connect, refuse the wrong login, become the owner, take the lock; undo it all afterwards.

    Args:
        bind: the migrator's engine or URL.
        names: the capability roles; those of the default prefix unless told.
        patience: how long to wait for locks.
        allow_superuser: let a superuser migrate.
        tell: is told what the operator should know.

    Raises:
        ConfigurationError: the login is the application's, a superuser, or no member of the owner.
        SchemaError: another migration is running.

    """
    with connected(bind, names=names, allow_superuser=allow_superuser, tell=tell) as session:
        session.patience = patience or session.patience
        lock.take(session.connection, session.patience)
        try:
            lock.set_lock_timeout(session.connection, session.patience.lock_timeout)
            session.connection.execute(_NO_TIMEOUT)
            session.connection.commit()
            yield session
        finally:
            if not session.connection.invalidated:
                session.connection.rollback()
                lock.release(session.connection)


@contextmanager
def connected(
    bind: Engine | str,
    *,
    names: RoleNames | None = None,
    allow_superuser: bool = False,
    tell: Callable[[str], None] = MIGRATIONS.warning,
) -> Iterator[Session]:
    """Connect and become the owner, without a lock: enough to look and to compare."""
    if isinstance(bind, str):
        bind = create_engine(
            normalise_url(bind),
            poolclass=NullPool,
            hide_parameters=True,
            use_native_hstore=False,  # its question at connect could run the owner's functions
        )
    with bind.connect() as connection:
        session = _become_owner(connection, names or RoleNames(), allow_superuser=allow_superuser)
        connection.commit()
        session.tell = tell
        for notice in session.notices:
            tell(notice)
        try:
            yield session
        finally:
            if not connection.invalidated:
                connection.rollback()
                for setting in ("role", "lock_timeout", "statement_timeout"):
                    connection.exec_driver_sql(f"RESET {setting}")
                connection.commit()


def _become_owner(connection: Connection, names: RoleNames, *, allow_superuser: bool) -> Session:
    asked = {"app_roles": list(app_roles(names)), "schema": SCHEMA, "owner": names.owner}
    with own_path(connection):
        found = connection.execute(_LOGIN, asked).one()
    notices = _refused(found, names, allow_superuser=allow_superuser)
    if found.owner is not None:
        connection.exec_driver_sql(f"SET ROLE {found.quoted_owner}")
    acting: str = connection.scalar(text("SELECT current_user::text")) or ""
    if acting != (found.owner or found.login):
        raise ConfigurationError(
            f"the session acts as {acting} and not as {found.owner}; a proxy in between changes"
            " logins: connect directly"
        )
    return Session(
        connection=connection, login=found.login, owner=acting, names=names, notices=notices
    )


def _refused(found: Any, names: RoleNames, *, allow_superuser: bool) -> list[str]:
    """Raise if this login must not migrate; else return what is to be said about it."""
    if found.is_superuser and not allow_superuser:
        raise ConfigurationError(
            f"login {found.login} is a superuser, whose migrations nothing holds back; use a"
            f" member of {names.owner} (VAULTDB_MIGRATE_URL), or say --allow-superuser"
        )
    if found.is_superuser:
        notices = [f"login {found.login} is a superuser: no privilege was checked"]
    elif found.app_role is not None:
        raise ConfigurationError(
            f"login {found.login} is a member of {found.app_role}, so it is the application's;"
            " migrations need a login of their own: set VAULTDB_MIGRATE_URL"
        )
    else:
        notices = []
    if found.owner is None:
        nobody = (
            f"there is no role {names.owner}: what is created belongs to login {found.login};"
            " run: vaultdb roles apply"
        )
        return [*notices, nobody]
    if not found.is_member:
        raise ConfigurationError(
            f"login {found.login} is no member of {found.owner}, which owns the schema; use the"
            f" migrator's login (VAULTDB_MIGRATE_URL), or GRANT {found.quoted_owner} TO it"
        )
    return notices
