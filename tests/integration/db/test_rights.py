"""An application's engine refuses a login that could do harm, and says which and how."""

from __future__ import annotations

import asyncio
import secrets
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

import vaultdb
from tests.fixtures.postgres import Database, Postgres
from vaultdb.db.rights import ExcessRightsWarning, excess_rights
from vaultdb.db.role_names import RoleNames
from vaultdb.errors import ConfigurationError
from vaultdb.settings import Settings

NAMES = RoleNames()
PASSWORD = secrets.token_urlsafe(12)


@dataclass
class Logins:
    """Makes logins and roles of one test's own, and drops them."""

    database: Database
    admin: psycopg.Connection
    made: list[str] = field(default_factory=list)

    def role(self, *options: str, member_of: str = "", login: bool = False) -> str:
        name = f'Odd "{secrets.token_hex(4)}"'
        words = " ".join(["LOGIN" if login else "NOLOGIN", *options])
        self.run(f"CREATE ROLE {{}} {words}", name)
        if login:
            self.admin.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), PASSWORD)
            )
            self.database.postgres.passwords[name] = PASSWORD
            self.run(f"GRANT CONNECT ON DATABASE {self.database.name} TO {{}}", name)
        self.made.append(name)
        if member_of:
            self.run("GRANT {} TO {}", member_of, name)
        return name

    def app(self, *options: str) -> str:
        return self.role(*options, member_of="vaultdb_rw", login=True)

    def run(self, statement: str, *names: str) -> None:
        self.admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def settings(self, login: str, **changes: Any) -> Settings:
        url = self.database.url
        mine = f"postgresql://{quote(login)}:{PASSWORD}@"
        given = {"url": mine + url.split("@", 1)[1]} | changes.pop("database", {})
        return Settings.model_validate({"keys": "memory", "database": given, **changes})

    def excess(self, login: str, *, may_add_keys: bool = False) -> list[str]:
        url = self.settings(login).database.url
        assert url is not None
        with psycopg.connect(url.get_secret_value()) as connection:
            found = excess_rights(connection, NAMES, may_add_keys=may_add_keys)
        assert {each.login for each in found} <= {login}
        return [each.text for each in found]


@pytest.fixture(scope="module")
def roomy(any_postgres: Postgres) -> Iterator[Database]:
    """One database for all tests here; each cleans up behind itself."""
    created = any_postgres.create_database()
    yield created
    any_postgres.drop_database(created.name)


@pytest.fixture
def logins(roomy: Database) -> Iterator[Logins]:
    with roomy.connect() as admin:
        made = Logins(roomy, admin)
        admin.execute("CREATE SCHEMA odd")
        admin.execute("CREATE TABLE odd.note (id int PRIMARY KEY, body text)")
        admin.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON odd.note TO vaultdb_rw")
        yield made
        for name in reversed(made.made):
            made.run("DROP OWNED BY {} CASCADE", name)
            made.run("DROP ROLE {}", name)
        admin.execute("DROP SCHEMA IF EXISTS odd CASCADE")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_the_applications_login_has_nothing_too_many(roomy: Database) -> None:
    with psycopg.connect(roomy.url) as connection:
        assert excess_rights(connection, NAMES) == []


def test_a_superuser_is_named_as_that_alone(logins: Logins) -> None:
    assert logins.excess(logins.app("SUPERUSER")) == ["superuser"]


@pytest.mark.parametrize("word", ["BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION"])
def test_an_attribute_is_named(logins: Logins, word: str) -> None:
    assert logins.excess(logins.app(word)) == [word]


@pytest.mark.parametrize("word", ["SUPERUSER", "BYPASSRLS", "CREATEROLE"])
def test_an_attribute_that_set_role_would_give_is_named(logins: Logins, word: str) -> None:
    powerful = logins.role(word)
    login = logins.app("NOINHERIT")
    logins.run("GRANT {} TO {}", powerful, login)
    what = "superuser" if word == "SUPERUSER" else word
    assert logins.excess(login)[0] == f"{what} (through {quoted(powerful)})"


@pytest.mark.parametrize(
    "role",
    ["vaultdb_owner", "pg_read_server_files", "pg_execute_server_program", "pg_signal_backend"],
)
def test_a_membership_is_named(logins: Logins, role: str) -> None:
    login = logins.app()
    logins.run("GRANT {} TO {}", role, logins.role())
    logins.run("GRANT {} TO {}", logins.made[-1], login)
    assert f"member of {role}" in logins.excess(login)


def test_the_owner_of_a_table_is_named(logins: Logins) -> None:
    login, group = logins.app(), logins.role()
    logins.run("GRANT {} TO {}", group, login)
    logins.run("ALTER TABLE odd.note OWNER TO {}", group)
    assert logins.excess(login) == [f"owner of odd.note (through {quoted(group)})"]


@pytest.mark.parametrize("privilege", ["TRUNCATE", "TRIGGER", "REFERENCES"])
def test_a_privilege_on_a_table_is_named(logins: Logins, privilege: str) -> None:
    login = logins.app()
    logins.run(f"GRANT {privilege} ON odd.note TO {{}}", login)
    assert logins.excess(login) == [f"{privilege} on odd.note"]


def test_what_public_may_is_named(logins: Logins) -> None:
    login = logins.app()
    logins.run("GRANT TRUNCATE ON odd.note TO PUBLIC")
    assert logins.excess(login) == ["TRUNCATE on odd.note (through PUBLIC)"]


def test_creating_is_named(logins: Logins) -> None:
    login = logins.app()
    logins.run("GRANT CREATE ON SCHEMA odd TO {}", login)
    logins.run("GRANT CREATE ON DATABASE {} TO {}", logins.database.name, login)
    assert logins.excess(login) == [
        f"CREATE on database {logins.database.name}",
        "CREATE on schema odd",
    ]


def test_owning_a_schema_is_named(logins: Logins) -> None:
    login = logins.app()
    logins.run("CREATE SCHEMA mine AUTHORIZATION {}", login)
    assert logins.excess(login) == ["owner of schema mine"]


@pytest.mark.parametrize("right", ["DELETE", "UPDATE", "UPDATE (wrapped)"])
def test_changing_data_keys_is_named(logins: Logins, right: str) -> None:
    login = logins.app()
    logins.run(f"GRANT {right} ON vaultdb.data_key TO {{}}", login)
    verb = right.split(maxsplit=1)[0]
    assert logins.excess(login, may_add_keys=True) == [f"{verb} on vaultdb.data_key"]


def test_adding_data_keys_is_for_those_who_create_them(logins: Logins) -> None:
    login = logins.app()
    logins.run("GRANT INSERT ON vaultdb.data_key TO {}", login)
    assert logins.excess(login) == ["INSERT on vaultdb.data_key"]
    assert logins.excess(login, may_add_keys=True) == []


def test_temporary_tables_of_its_own_do_not_count(logins: Logins) -> None:
    login = logins.app()
    url = logins.settings(login).database.url
    assert url is not None
    logins.run("GRANT TEMPORARY ON DATABASE {} TO {}", logins.database.name, login)
    with psycopg.connect(url.get_secret_value()) as connection:
        connection.execute("CREATE TEMP TABLE t (a int)")
        assert excess_rights(connection, NAMES) == []


def connect(settings: Settings) -> Any:
    engine = vaultdb.create_engine(settings=settings)
    try:
        with engine.connect() as connection:
            return connection.scalar(sa.text("SELECT 1"))
    finally:
        engine.dispose()


def connect_async(settings: Settings) -> Any:
    async def run() -> Any:
        engine = vaultdb.create_async_engine(settings=settings)
        try:
            async with engine.connect() as connection:
                return await connection.scalar(sa.text("SELECT 1"))
        finally:
            await engine.dispose()

    return asyncio.run(run())


def connect_installed(settings: Settings) -> Any:
    assert settings.database.url is not None
    url = settings.database.url.get_secret_value().replace("postgresql:", "postgresql+psycopg:", 1)
    engine = vaultdb.install(sa.create_engine(url), settings=settings)
    try:
        with engine.connect() as connection:
            return connection.scalar(sa.text("SELECT 1"))
    finally:
        engine.dispose()


CONNECTS = pytest.mark.parametrize("work", [connect, connect_async, connect_installed])


@CONNECTS
def test_an_engine_refuses_and_lists_everything(
    logins: Logins, work: Callable[[Settings], Any]
) -> None:
    login = logins.app("CREATEDB")
    logins.run("GRANT TRUNCATE ON odd.note TO {}", login)
    with pytest.raises(ConfigurationError) as caught:
        work(logins.settings(login))
    assert str(caught.value) == (
        f"login {quoted(login)} may do more than the application needs: CREATEDB;"
        " TRUNCATE on odd.note; give the application a login that is only a member of"
        " vaultdb_rw, and run: vaultdb roles apply (or set VAULTDB_ALLOW_EXCESS_RIGHTS=true)"
    )


@CONNECTS
def test_an_engine_takes_a_login_that_is_only_a_member(
    logins: Logins, work: Callable[[Settings], Any]
) -> None:
    assert work(logins.settings(logins.app())) == 1


def test_the_refusal_stays(logins: Logins) -> None:
    engine = vaultdb.create_engine(settings=logins.settings(logins.app("CREATEDB")))
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="CREATEDB"):
            engine.connect()
    engine.dispose()


def test_allowing_makes_it_one_warning(logins: Logins) -> None:
    login = logins.app("CREATEDB")
    allowed = logins.settings(login, database={"allow_excess_rights": True})
    engine = vaultdb.create_engine(settings=allowed, poolclass=sa.NullPool)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ExcessRightsWarning)
        for _ in range(3):
            engine.connect().close()
    assert "allow_excess_rights is set" in str(seen[0].message)
    assert "CREATEDB" in str(seen[0].message)
    assert len(seen) == 1
    engine.dispose()


def test_it_is_asked_once_for_each_login(logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(connection: Any, *args: Any, **options: Any) -> Any:
        asked.append(connection.info.user)
        return excess_rights(connection, *args, **options)

    monkeypatch.setattr("vaultdb.db.rights.excess_rights", ask)
    first, second = logins.app(), logins.app()
    engine = vaultdb.create_engine(settings=logins.settings(first), poolclass=sa.NullPool)
    users = iter([first, first, second, second, first])

    @sa.event.listens_for(engine, "do_connect")
    def replace(_d: Any, _r: Any, _a: Any, parameters: dict[str, Any]) -> None:
        parameters["user"] = next(users)

    for _ in range(5):
        engine.connect().close()
    assert asked == [first, second]
    engine.dispose()


def test_a_migrator_may_do_more(roomy: Database) -> None:
    given = Settings.model_validate({"keys": "memory", "database": {"url": roomy.migrate_url}})
    engine = vaultdb.create_engine(settings=given, role="migrator")
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT current_user")) == "vaultdb_owner"
    engine.dispose()
    with pytest.raises(ConfigurationError, match="member of vaultdb_owner"):
        connect(given)
