"""What is declared, as the facts that PostgreSQL prints when it is true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vaultdb.db.quoting import parts_of, qualified, quote_name
from vaultdb.errors import ConfigurationError
from vaultdb.orm.attachment import encrypted_columns
from vaultdb.orm.companion import companions_of, is_companion
from vaultdb.orm.types import is_encrypted
from vaultdb.roles.declared import declared
from vaultdb.roles.fact import Fact
from vaultdb.roles.grant import Grant
from vaultdb.roles.policies import policy_facts
from vaultdb.roles.sequences import used_sequences

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table

    from vaultdb.db.role_names import RoleNames
    from vaultdb.roles.access import Access


def wanted_facts(
    metadata: MetaData, names: RoleNames, *, default_schema: str = "public"
) -> frozenset[Fact]:
    """Return every fact about the declared tables that holds when access is as declared.

    Args:
        metadata: tables with declarations; the others have no facts here.
        names: the capability roles.
        default_schema: where tables without a schema are, unquoted.

    Raises:
        ConfigurationError: `others=` names one of vaultdb's roles.

    """
    facts: set[Fact] = set()
    for access in declared(metadata).values():
        facts |= _facts_of(access, names, default_schema)
    return frozenset(facts)


def about_declared(
    facts: Iterable[Fact], metadata: MetaData, *, default_schema: str = "public"
) -> frozenset[Fact]:
    """Return those of the facts of a database that `wanted_facts` speaks about.

    What differs between the two is drift. Row-level security of a table that declares
    `own_policies` is left out.
    """
    places: dict[tuple[str, ...], Access] = {}
    sequences: set[tuple[str, ...]] = set()
    for access in declared(metadata).values():
        places[_place(access.table, default_schema)] = access
        sequences |= used_sequences(access.table, default_schema)
    return frozenset(fact for fact in facts if _is_about(fact, places, sequences))


def _is_about(
    fact: Fact, places: Mapping[tuple[str, ...], Access], sequences: set[tuple[str, ...]]
) -> bool:
    if fact.fact not in {"grant", "rls", "policy"}:
        return False
    parts = parts_of(fact.object)
    if fact.fact == "grant":
        if fact.kind == "sequence":
            return parts in sequences
        return fact.kind in {"table", "column"} and parts[:2] in places
    access = places.get(parts[:2])
    return access is not None and not access.own_policies


def grants_of(access: Access, names: RoleNames) -> dict[str, Grant]:
    """Return what each role may do with a table, by the role's name, unquoted.

    Raises:
        ConfigurationError: `others=` names one of vaultdb's roles.

    """
    taken = sorted(set(access.others).intersection(names.all))
    if taken:
        raise ConfigurationError(
            f"access to {access.table.fullname}: others= names {taken[0]!r}, which is one of "
            "vaultdb's own roles; use rw=, ro= and rotator="
        )
    found = {names.rw: access.rw, names.ro: _ro(access), **access.others}
    if access.rotates:
        found[names.rotator] = _rotator(access.table)
    return {role: grant for role, grant in found.items() if grant}


def _facts_of(access: Access, names: RoleNames, default_schema: str) -> set[Fact]:
    place = _place(access.table, default_schema)
    grants = grants_of(access, names)
    facts = {fact for role, grant in grants.items() for fact in _grant_facts(place, role, grant)}
    for sequence in used_sequences(access.table, default_schema):
        facts |= {
            Fact("grant", "sequence", qualified(*sequence), quote_name(role), "USAGE")
            for role, grant in grants.items()
            if grant.insert
        }
    subjects = [role for role in grants if role != names.rotator]
    rotator = names.rotator if names.rotator in grants else ""
    return facts | policy_facts(access, qualified(*place), subjects, rotator)


def _grant_facts(place: tuple[str, ...], role: str, grant: Grant) -> Iterable[Fact]:
    who = quote_name(role)
    for privilege, columns in grant:
        if columns is True:
            yield Fact("grant", "table", qualified(*place), who, privilege.upper())
        elif columns:
            for column in columns:
                yield Fact("grant", "column", qualified(*place, column), who, privilege.upper())


def _ro(access: Access) -> Grant:
    if access.ro is not None:
        return Grant(select=access.ro)
    columns = list(access.table.columns)
    shown = [each.name for each in columns if not (is_encrypted(each) or is_companion(each))]
    return Grant(select=True if len(shown) == len(columns) else shown)


def _rotator(table: Table) -> Grant:
    """Return what re-encryption needs: keys and tenants to read, encrypted columns to change."""
    read = [column.name for column in table.primary_key.columns]
    changed = []
    for column in encrypted_columns(table):
        type_: Any = column.type
        named = [
            *(type_.bind if isinstance(type_.bind, tuple) else ()),
            type_.tenant_column,
            type_.subject,
        ]
        read += [table.columns[key].name for key in named if key is not None]
        if any(each.name == type_.options.adopts for each in table.columns):
            changed.append(type_.options.adopts)  # to encrypt what it holds, and to empty it then
        changed += [each.name for each in (column, *companions_of(column))]
    return Grant(select=(*read, *changed), update=changed)


def _place(table: Table, default_schema: str) -> tuple[str, str]:
    return (table.schema or default_schema, table.name)
