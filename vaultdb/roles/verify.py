"""Compare a database with what is wanted, and name each difference."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from vaultdb.db.audit_schema import AUDIT_SCHEMA
from vaultdb.db.own_path import own_path
from vaultdb.db.shipped_sql import shipped_sql
from vaultdb.roles.base_statements import Writer
from vaultdb.roles.drift import Difference, Drift, differences
from vaultdb.roles.fact import PUBLIC
from vaultdb.roles.plan import plan
from vaultdb.roles.problems import problem
from vaultdb.roles.remedies import Remedies
from vaultdb.roles.scope import DEFAULT_SCHEMA, Members

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from vaultdb.db.role_names import RoleNames
    from vaultdb.roles.plan import Plan
    from vaultdb.roles.snapshot import Snapshot

_A_SCHEMA = ("owner", "schema")
_CAUTIONS = text(shipped_sql("vaultdb.roles", "cautions"))


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know that is no difference."""

    text: str
    remedy: str = ""
    """What to run or to do, when there is something."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found."""

    drifts: tuple[Drift, ...]
    notes: tuple[Note, ...]
    facts: int
    """How many facts were looked at."""
    plan: Plan

    @property
    def is_clean(self) -> bool:
        """Whether everything is as wanted."""
        return not self.drifts


def verify(
    connection: Connection,
    metadata: MetaData | Collection[MetaData] | None,
    names: RoleNames,
    *,
    default_schema: str = DEFAULT_SCHEMA,
    members: Members = MappingProxyType({}),
) -> Verification:
    """Return every difference between the database of `connection` and what is wanted.

    Any login sees the same, because the catalogues are open to everybody. Nothing is changed.

    Args:
        connection: in a transaction, or about to begin one.
        metadata: the models; without them only vaultdb's own facts are looked at.
        names: the capability roles.
        default_schema: where tables without a schema are, unquoted.
        members: logins under names of yours and their capability roles, unquoted.

    """
    found = plan(connection, metadata, names, default_schema=default_schema, members=members)
    remedies = Remedies(
        found.scope, Writer(names, found.snapshot), found.comparison.wanted & found.snapshot.facts
    )
    repaired = [
        Drift(each.fact, problem(each), remedies.repair(each))
        for each in differences(found.comparison)
        if not _follows(each, found.snapshot)
    ]
    reported = [
        Drift(fact, problem(Difference(fact, None)), remedies.decide(fact), is_repaired=False)
        for fact in found.comparison.reported
    ]
    notes = [*_notes_of(found), *_cautions(connection, found)]
    drifts = tuple(sorted([*repaired, *reported]))
    return Verification(drifts, tuple(notes), len(found.snapshot.facts), found)


def _follows(difference: Difference, snapshot: Snapshot) -> bool:
    """Whether a fact is missing only because a role or the audit schema is."""
    fact = difference.fact
    if difference.found is not None or fact.fact == "role" or (fact.fact, fact.kind) == _A_SCHEMA:
        return False
    of_one_role = fact.fact in {"grant", "member", "setting"} and fact.who
    lacks_role = bool(of_one_role) and fact.who not in {*snapshot.roles, PUBLIC}
    lacks_member = fact.fact == "member" and fact.object not in snapshot.roles
    is_audit = fact.object == AUDIT_SCHEMA or fact.object.startswith(f"{AUDIT_SCHEMA}.")
    return lacks_role or lacks_member or (is_audit and not snapshot.owner("schema", AUDIT_SCHEMA))


def _notes_of(found: Plan) -> list[Note]:
    notes = []
    scope, comparison = found.scope, found.comparison
    if not scope.metadata:
        notes.append(
            Note(
                "no models were given, so only vaultdb's own roles, schemas and settings were"
                " looked at",
                "say --model MODULE:NAME, or set models in vaultdb.toml",
            )
        )
    notes += [
        Note(f"{table} has no declared access: what is granted there is not looked at",
             "declare it with vaultdb.access()")
        for table in sorted(scope.undeclared_tables)
    ]  # fmt: skip
    notes += [
        Note(f"{name} is declared and does not exist yet", "run: vaultdb migrate up")
        for name in comparison.absent
    ]
    notes += [
        Note(f"{name} is declared as encrypted and holds plaintext: it is opened to the application"
             " only", "write the second column with: vaultdb migrate new")
        for name in sorted(scope.plaintext(found.snapshot))
    ]  # fmt: skip
    notes += [
        Note(f"role {role} is named in a declaration and does not exist", f"CREATE ROLE {role}")
        for role in comparison.strangers
    ]
    return notes


_ADVICE: dict[str, Callable[[str], Note]] = {
    "creator": lambda name: Note(
        f"login {name} has CREATEROLE: until PostgreSQL 15 it can grant itself any role that is no"
        " superuser, also the owner and pg_execute_server_program, and change anybody's password:"
        " it is as good as a superuser",
        "use PostgreSQL 16 or newer, or Vault's static roles, and guard this login like a"
        " superuser's",
    ),
    "open schema": lambda name: Note(
        f"everybody may create in schema {name}: what stands there takes the place of what others"
        " look for",
        f"REVOKE CREATE ON SCHEMA {name} FROM PUBLIC",
    ),
    "locked lease": lambda name: Note(
        f"leased login {name} was locked and not dropped: its lease could not be revoked",
        f"DROP OWNED BY {name}; DROP ROLE {name}",
    ),
    "expired lease": lambda name: Note(
        f"leased login {name} has expired and was not dropped: Vault gave up on its lease",
        f"DROP OWNED BY {name}; DROP ROLE {name}",
    ),
    "lease without a role": lambda name: Note(
        f"leased login {name} is a member of nothing: it is left over",
        f"DROP OWNED BY {name}; DROP ROLE {name}",
    ),
}


def _cautions(connection: Connection, found: Plan) -> list[Note]:
    asked = {"schemas": list(found.scope.schemas), "prefix": found.scope.names.prefix}
    with own_path(connection):
        rows = connection.execute(_CAUTIONS, asked).all()
    return [_ADVICE[row.caution](row.name) for row in rows]
