"""The SQL of `apply` for a database that nobody can reach from here, for a DBA to read and run."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from vaultdb.db.audit_schema import AUDIT_SCHEMA
from vaultdb.db.grants import privileges
from vaultdb.db.quoting import literal, parts_of, qualified, quote_name
from vaultdb.roles.base import READ_ALL
from vaultdb.roles.fact import PUBLIC, Fact
from vaultdb.roles.functions import (
    BIND_ROW,
    BIND_ROW_SQL,
    KEEP_RESTRICTIONS,
    restriction_facts,
    source_fact,
)
from vaultdb.roles.plan import plan_of
from vaultdb.roles.scope import DEFAULT_SCHEMA, Scope
from vaultdb.roles.snapshot import Snapshot

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from vaultdb.db.role_names import RoleNames

_DATABASE = "the_database"
_IN_DATABASE = re.compile(r"\b(ON|IN|ALTER) DATABASE the_database\b")
_ROLE = re.compile(r'"(?:[^"]|"")*"|\S+')
_OPTIONS = re.compile(r" WITH INHERIT (TRUE|FALSE), SET TRUE$")
_ON_TABLE = re.compile(
    r'\b(?:ON TABLE|ON SEQUENCE|ALTER TABLE|ON) ((?:"[^"]+"|\w+)\.(?:"[^"]+"|\w+))'
)

_OPENING = """\
-- Roles, privileges and settings of vaultdb. Run it with psql in the database, as a superuser, and
-- again after each migration or restore; what exists is completed. Static logins get no password:
-- give one with \\password in psql.
\\set ON_ERROR_STOP on
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;  -- nobody's function takes the place of PostgreSQL's
DO $$ BEGIN PERFORM pg_advisory_xact_lock(hashtext('vaultdb.roles')); END $$;
"""

_CLOSING = """
-- What remains is shown by: vaultdb roles verify
COMMIT;
"""


def offline_sql(
    metadata: Collection[MetaData],
    names: RoleNames,
    *,
    default_schema: str = DEFAULT_SCHEMA,
    logins: Collection[str] = (),
) -> str:
    """Return a script that may be run again at will; it takes away what is open by default.

    What somebody granted beyond that it does not see: that is what `plan` and `verify` are for.

    Args:
        metadata: the models; what is granted on a table is left out while it does not exist.
        names: the capability roles.
        default_schema: where tables without a schema are, unquoted.
        logins: static logins to make, unquoted.

    """
    scope = Scope(names, tuple(metadata), default_schema, tuple(logins))
    found = plan_of(scope, imagined(scope))
    return _OPENING + "".join(_guarded(each) for each in found.statements) + _CLOSING


def imagined(scope: Scope) -> Snapshot:
    """Return a database as PostgreSQL makes it, with the tables that are to come."""
    wanted = scope.wanted_of_models()
    held = {p for each in privileges(scope.names).values() for p in each}
    tables = {qualified(*parts_of(f.object)[:2]) for f in wanted if f.kind != "sequence"}
    sequences = {f.object for f in wanted if f.kind == "sequence"}
    columns = {f.object for f in wanted if f.fact == "grant" and f.kind == "column"}
    owned = {("table", name) for name in tables | scope.tables}
    owned |= {("sequence", name) for name in sequences}
    owned |= {(p.kind, p.object) for p in held if p.kind != "column"}
    facts = {Fact("owner", kind, name, scope.owner) for kind, name in owned}
    for schema in scope.model_schemas:
        facts.add(Fact("owner", "schema", quote_name(schema), "the_administrator"))
    facts |= _OPEN_BY_DEFAULT
    facts.add(source_fact(BIND_ROW, BIND_ROW_SQL, "VOLATILE STRICT"))
    facts.add(Fact("owner", "function", KEEP_RESTRICTIONS, scope.owner))
    facts.update(restriction_facts(scope.owner))
    others = {f.who for f in wanted if f.fact == "grant"} - scope.capabilities
    return Snapshot(
        frozenset(facts),
        database=_DATABASE,
        major=16,
        login="",
        acting="",
        is_superuser=True,
        is_creator=True,
        roles=frozenset({READ_ALL, *others}),
        memberships=frozenset(),
        columns=frozenset(columns),
        binary_columns=frozenset(columns),
        grantors={},
    )


_OPEN_BY_DEFAULT = {
    Fact("owner", "database", _DATABASE, "the_administrator"),
    Fact("owner", "schema", "public", "pg_database_owner"),
    Fact("grant", "database", _DATABASE, PUBLIC, "CONNECT"),
    Fact("grant", "database", _DATABASE, PUBLIC, "TEMPORARY"),
    Fact("grant", "schema", "public", PUBLIC, "USAGE"),
    Fact("grant", "schema", "public", PUBLIC, "CREATE"),
    Fact("grant", "function", "vaultdb.bind_row(bytea,bytea)", PUBLIC, "EXECUTE"),
    Fact("grant", "function", KEEP_RESTRICTIONS, PUBLIC, "EXECUTE"),
    Fact("grant", "type", "vaultdb.envelope", PUBLIC, "USAGE"),
    *(
        Fact("grant", "function", f"pg_catalog.{function}", PUBLIC, "EXECUTE")
        for function in ("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid,bytea)")
    ),
}


def _guarded(statement: str) -> str:
    """Make a statement run where it can: what exists stays, what does not is passed over."""
    options = _OPTIONS.search(statement)
    if options:
        return _when("current_setting('server_version_num')::int >= 160000", statement,
                     statement[: options.start()])  # fmt: skip
    words = statement.split()
    if words[:2] == ["CREATE", "ROLE"]:
        role, attributes = _split_role(statement)
        exists = f"EXISTS (SELECT FROM pg_roles WHERE quote_ident(rolname) = {literal(role)})"
        return _when(exists, f"ALTER ROLE {role} {attributes}", statement)
    if words[:2] == ["CREATE", "SCHEMA"]:
        return f"{statement.replace('SCHEMA', 'SCHEMA IF NOT EXISTS', 1)};\n"
    if _IN_DATABASE.search(statement):
        return _in_this_database(statement)
    condition = _condition(statement)
    if words[:2] == ["CREATE", "POLICY"]:
        policy = statement.removeprefix("CREATE POLICY ").partition(" AS ")[0]
        statement = f"DROP POLICY IF EXISTS {policy}; {statement}"
    return _when(condition, statement) if condition else f"{statement};\n"


def _split_role(statement: str) -> tuple[str, str]:
    """Return name and attributes of a CREATE ROLE."""
    rest = statement.removeprefix("CREATE ROLE ")
    found = _ROLE.match(rest)
    assert found is not None
    return found[0], rest[found.end() :].strip()


def _condition(statement: str) -> str:
    """Return what must exist for a statement about the schema `vaultdb` or about a table."""
    if statement.lstrip().startswith("--") or AUDIT_SCHEMA in statement:
        return ""
    if statement.startswith("ALTER SCHEMA") or " ON SCHEMA " in statement:
        _, _, rest = statement.partition("SCHEMA ")
        schema = rest.rpartition(" TO ")[0] or rest.rpartition(" FROM ")[0]
        return f"to_regnamespace({literal(schema.removesuffix(' OWNER'))}) IS NOT NULL"
    if " ON FUNCTION vaultdb." in statement:
        name = statement.partition(" ON FUNCTION ")[2].partition(")")[0] + ")"
        return f"to_regprocedure({literal(name)}) IS NOT NULL"
    if " ON TYPE " in statement:
        name = statement.partition(" ON TYPE ")[2].split()[0]
        return f"to_regtype({literal(name)}) IS NOT NULL"
    found = _ON_TABLE.search(statement)
    return f"to_regclass({literal(found[1])}) IS NOT NULL" if found else ""


def _in_this_database(statement: str) -> str:
    before, _, after = statement.partition(_DATABASE)
    text = f"{literal(before)} || quote_ident(current_database()) || {literal(after)}"
    return f"DO $vaultdb$ BEGIN EXECUTE {text}; END $vaultdb$;\n"


def _when(condition: str, statement: str, otherwise: str = "") -> str:
    other = f" ELSE EXECUTE {literal(otherwise)};" if otherwise else ""
    return (
        f"DO $vaultdb$ BEGIN IF {condition} THEN\n"
        f"  EXECUTE {literal(statement)};{other} END IF; END $vaultdb$;\n"
    )
