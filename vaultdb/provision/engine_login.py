"""The login of Vault's database engine: it hands out capability roles and inherits none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, text

from vaultdb.db.role_names import RoleNames
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.errors import ConfigurationError
from vaultdb.provision.lease_roles import login_of
from vaultdb.provision.postgres_spec import PostgresSpec, all_logins
from vaultdb.roles.snapshot import OPTIONS_PER_MEMBERSHIP
from vaultdb.roles.static_logins import admin_schema, engine_login
from vaultdb.vault.lease_names import USER_PREFIX, Lease

ENGINE_CONNECTIONS = 10
"""Sessions of the engine's login at the same time; Vault is told to use fewer."""

_ENGINE = text(shipped_sql("vaultdb.provision", "engine"))
_HARMFUL = ("SUPERUSER", "BYPASSRLS", "REPLICATION", "CREATEDB")
_NO_MORE = [True, False, False]
"""ADMIN, INHERIT, SET: it may give the role away, and neither have nor take it."""

Change = tuple[str, sql.Composed]
"""For the reader, and what to run."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of it."""

    major: int
    admin: str
    is_superuser: bool
    may_signal: bool
    database: str
    attributes: Mapping[str, bool] | None
    memberships: Mapping[str, list[bool]] | None
    connects: bool
    schema_grants: list[str] | None
    has_schema: bool
    schema_owner: str | None
    functions: Mapping[str, Mapping[str, Any]] | None


def look(connection: Connection, names: RoleNames) -> Found:
    """Return what there is of the engine's login in the database of `connection`."""
    values = {
        "login": engine_login(names), "schema": admin_schema(names), "leased": USER_PREFIX,
    }  # fmt: skip
    return Found(**connection.execute(_ENGINE, values).mappings().one())


def refuse_danger(found: Found, spec: PostgresSpec) -> None:
    """Refuse what cannot be safe, or cannot work.

    Raises:
        ConfigurationError: PostgreSQL 15 without a word about CREATEROLE; an administrator that may
            not end sessions; a schema that the migrator has made.

    """
    if found.schema_owner in {*spec.names.all, *all_logins(spec.names)}:
        schema = sql.Identifier(admin_schema(spec.names)).as_string(None)
        raise ConfigurationError(
            f"schema {schema} belongs to {found.schema_owner}, who can replace what the login of"
            f" vault's engine calls, with its rights: look at what is in it, and run: DROP SCHEMA"
            f" {schema} CASCADE"
        )
    if found.major < OPTIONS_PER_MEMBERSHIP and not (spec.static or spec.accept_createrole):
        raise ConfigurationError(
            f"in PostgreSQL {found.major} a login with CREATEROLE may give itself and others every"
            " role but a superuser, and change every password, so vault's engine would be an"
            " administrator: say --static, which needs no CREATEROLE, or upgrade to 16, or accept"
            " it with --accept-createrole"
        )
    if not spec.static and not (found.is_superuser or found.may_signal):
        raise ConfigurationError(
            f"login {found.admin} may not end the sessions of revoked logins: grant it"
            " pg_signal_backend, or use a superuser's"
        )


def changes(found: Found, spec: PostgresSpec) -> Iterator[Change]:
    """Return what must be done, in order."""
    names = spec.names
    login, schema = sql.Identifier(engine_login(names)), sql.Identifier(admin_schema(names))
    yield from _attributes(found, spec, login)
    yield from _memberships(found, spec, login)
    if not found.connects:
        to = sql.Identifier(found.database)
        yield (
            f"CONNECT on {found.database}",
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(to, login),
        )
    if not found.has_schema:
        what = f"schema {admin_schema(names)}"
        yield what, sql.SQL("CREATE SCHEMA {}").format(schema)
    yield from _usage(found, spec, login, schema)
    yield from _function(found, spec, login, schema)


def _attributes(found: Found, spec: PostgresSpec, login: sql.Identifier) -> Iterator[Change]:
    wanted = {"LOGIN": True, "CREATEROLE": not spec.static, **dict.fromkeys(_HARMFUL, False)}
    if found.attributes is None:
        words = _words({name: on for name, on in wanted.items() if on})
        statement = sql.SQL("CREATE ROLE {} {} CONNECTION LIMIT {}")
        made = statement.format(login, words, sql.Literal(ENGINE_CONNECTIONS))
        yield "the login itself", made
        return
    wrong = {name: on for name, on in wanted.items() if found.attributes[name] is not on}
    if wrong:
        words = _words(wrong)
        yield words.as_string(None), sql.SQL("ALTER ROLE {} {}").format(login, words)


def _memberships(found: Found, spec: PostgresSpec, login: sql.Identifier) -> Iterator[Change]:
    has_options = found.major >= OPTIONS_PER_MEMBERSHIP
    wanted = [] if spec.static or not has_options else given_away(spec.names)
    there = found.memberships or {}
    for role in wanted:
        if there.get(role) != _NO_MORE:
            grant = sql.SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
            yield f"may give {role} away", grant.format(sql.Identifier(role), login)
    for role in sorted(set(there) - set(wanted)):
        revoke = sql.SQL("REVOKE {} FROM {}").format(sql.Identifier(role), login)
        yield f"no member of {role}", revoke


def given_away(names: RoleNames) -> list[str]:
    """Return the capability roles that leased logins get, each once."""
    return list(dict.fromkeys(login_of(lease, names).capability for lease in Lease))


def _usage(
    found: Found, spec: PostgresSpec, login: sql.Identifier, schema: sql.Identifier
) -> Iterator[Change]:
    wanted = f"{engine_login(spec.names)} USAGE"
    there = set(found.schema_grants or [])
    taken = sorted({each.rpartition(" ")[0] for each in there - {wanted}})
    for who in taken:
        revoke = sql.SQL("REVOKE ALL ON SCHEMA {} FROM {}").format(schema, _grantee(who))
        yield f"nothing on the schema for {who}", revoke
    if wanted not in there or engine_login(spec.names) in taken:
        grant = sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, login)
        yield "USAGE on the schema", grant


def _function(
    found: Found, spec: PostgresSpec, login: sql.Identifier, schema: sql.Identifier
) -> Iterator[Change]:
    name, script = _script(spec, schema)
    there = (found.functions or {}).get(name)
    function = sql.SQL("{}.{}").format(schema, sql.Identifier(name))
    if there is None or not _is_same(there, script):
        yield f"function {name}", script
    grants = set(there["grants"] or []) if there is not None else {"PUBLIC"}
    engine = engine_login(spec.names)
    for who in sorted(grants - {engine}):
        revoke = sql.SQL("REVOKE ALL ON FUNCTION {} FROM {}").format(function, _grantee(who))
        yield f"{name} not for {who}", revoke
    if not spec.static and "set_password" in (found.functions or {}):
        drop = sql.SQL("DROP FUNCTION {}.set_password(name, text)").format(schema)
        yield "no function set_password", drop
    if engine not in grants:
        grant = sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(function, login)
        yield f"EXECUTE on {name}", grant


def _script(spec: PostgresSpec, schema: sql.Identifier) -> tuple[str, sql.Composed]:
    if spec.static:
        logins = sql.SQL(", ").join(map(sql.Literal, all_logins(spec.names)))
        password = _shipped("set_password")
        return "set_password", password.format(schema=schema, logins=logins)
    kill = _shipped("kill_sessions")
    return "kill_sessions", kill.format(schema=schema, leased=sql.Literal(USER_PREFIX))


def _is_same(there: Mapping[str, Any], script: sql.Composed) -> bool:
    source = script.as_string(None).split("$$")[1]
    return bool(
        there["source"] == source
        and there["definer"]
        and there["settings"] == ["search_path=pg_catalog, pg_temp"]
    )


def _words(attributes: Mapping[str, bool]) -> sql.Composed:
    words: list[Any] = [f"{'' if on else 'NO'}{name}" for name, on in attributes.items()]
    return sql.SQL(" ").join(map(sql.SQL, words))


def _grantee(who: str) -> sql.Composable:
    return sql.SQL("PUBLIC") if who == "PUBLIC" else sql.Identifier(who)


def _shipped(name: str) -> sql.SQL:
    found: Any = shipped_sql("vaultdb.provision", name)
    return sql.SQL(found)  # our own file, not a user's
