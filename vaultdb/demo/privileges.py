"""Who may do what: each login does its own work, fails at the others', and drift is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg.errors
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from vaultdb.alembic import runner
from vaultdb.alembic.login import migrator_engine
from vaultdb.alembic.session import migrating
from vaultdb.alembic.trees import APP, Tree
from vaultdb.db.catalogue import declared_names
from vaultdb.db.role_names import RoleNames
from vaultdb.demo.model import Base, Patient
from vaultdb.demo.stage import BrokenPromiseError, Stage, expect
from vaultdb.engine import create_engine
from vaultdb.errors import KeyDenied
from vaultdb.roles.apply import apply
from vaultdb.roles.drift import Drift
from vaultdb.roles.matrix import Right, matrix
from vaultdb.roles.verify import Verification, verify

MIGRATIONS = Path(__file__).parent / "migrations"
NAMES = RoleNames()

WHO = text("SELECT session_user")
DDL = text("ALTER TABLE patient ADD COLUMN note text")
MISTAKES = (
    text("GRANT SELECT ON public.patient TO PUBLIC"),
    text("GRANT vaultdb_owner TO vaultdb_app"),
)
"""Two things that somebody in a hurry does at night."""

TABLE = "public.patient"
WORDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "OWNER")


class Privileges:
    """The steps about privileges; each returns what came of it."""

    columns = ("login", *WORDS)
    """Of `matrix`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.matrix: Sequence[tuple[str, ...]] = ()
        """Each login and what it may do with the patients: set by `verify`."""
        self.drifts: Sequence[Drift] = ()
        """What `verify` said about the superuser's mistakes: set by `drift`."""

    def migrate(self) -> str:
        """Create vaultdb's schema and the demo's table, by a leased login that cannot decrypt."""
        settings = self._stage.settings("migrator")
        engine = migrator_engine(settings)
        try:
            with migrating(engine) as session:
                tree = Tree(APP, MIGRATIONS)
                runner.upgrade(session, realm=settings.realm, app=tree)
        finally:
            engine.dispose()
        return f"{len(declared_names([Base.metadata]))} encrypted columns"

    def log_in(self) -> str:
        """Have Vault make a login for the application."""
        with self._stage.engine.connect() as connection:
            return _shortened(str(connection.scalar(WHO)))

    def decrypt(self) -> str:
        """Try to read a patient as the migrator, who owns the table."""
        settings = self._stage.settings("migrator")
        engine = create_engine(settings=settings, role="migrator")
        try:
            with Session(engine) as session:
                session.scalars(select(Patient.ssn)).first()
        except KeyDenied as error:
            return f"refused by Vault: {type(error).__name__}"
        finally:
            engine.dispose()
        raise BrokenPromiseError("the migrator decrypted a value")

    def change_the_schema(self) -> str:
        """Try to change the table as the application."""
        with self._stage.engine.connect() as connection:
            try:
                connection.execute(DDL)
            except DBAPIError as error:
                if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
                    return "refused by PostgreSQL"
                raise
        raise BrokenPromiseError("the application changed the schema")

    def verify(self) -> str:
        """Compare every privilege with what is declared beside the model."""
        with self._stage.superuser() as connection:
            found = self._verify(connection)
            rights = matrix(connection, found.plan.scope.schemas, NAMES)
        self.matrix = _matrix(rights)
        expect(found.is_clean, "roles and privileges are not as declared")
        return f"no drift in {found.facts} facts"

    def drift(self) -> str:
        """Make a superuser's mistakes, and have them named."""
        with self._stage.superuser() as connection:
            for mistake in MISTAKES:
                connection.execute(mistake)
            connection.commit()
            self.drifts = self._verify(connection).drifts
        expect(len(self.drifts) == len(MISTAKES), "a superuser's mistake was not found")
        return "verify names both"

    def repair(self) -> str:
        """Make it all as declared again."""
        with self._stage.superuser() as connection:
            done = apply(connection, Base.metadata, NAMES)
            connection.commit()
            expect(self._verify(connection).is_clean, "roles apply did not repair the mistakes")
        return f"{len(done.statements)} statements, no drift"

    def revoke(self) -> str:
        """Take the application's login away while it is connected; its next work gets another."""
        engine = self._stage.engine
        with engine.connect() as connection:
            before = connection.scalar(WHO)
            self._stage.revoke_leases("app")
            expect(_is_cut(lambda: connection.scalar(WHO)), "a session outlived its login")
        with engine.connect() as connection:
            expect(connection.scalar(WHO) != before, "a login outlived its lease")
        return "session cut, next login works"

    def _verify(self, connection: Connection) -> Verification:
        return verify(connection, Base.metadata, NAMES)


def _matrix(rights: Sequence[Right]) -> list[tuple[str, ...]]:
    held = {(each.who, each.privilege): each for each in rights if each.object == TABLE}
    logins = sorted({each.who for each in rights if each.can_login})
    return [(_shortened(who), *(_cell(held.get((who, word))) for word in WORDS)) for who in logins]


def _shortened(login: str) -> str:
    """Leave out the seconds since 1970 at the end of a leased login."""
    return f"{login.rpartition('_')[0]}_…" if login.startswith("v_") else login


def _cell(right: Right | None) -> str:
    if right is None:
        return "-"
    return ("yes" if right.whole else "columns") + ("*" if right.by_set_role else "")


def _is_cut(use: Callable[[], object]) -> bool:
    try:
        use()
    except DBAPIError as error:
        return error.connection_invalidated
    return False
