"""Facts about tables as operations: those that make them true, and those that make them untrue."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from alembic.operations import MigrateOperation

from vaultdb.alembic.operations import (
    CreatePolicyOp,
    DisableRlsOp,
    DropPolicyOp,
    EnableRlsOp,
    ForceRlsOp,
    GrantOp,
    Policy,
    RevokeOp,
)
from vaultdb.alembic.operations.privileges import PRIVILEGES, Kind, PrivilegeOperation
from vaultdb.db.quoting import parts_of
from vaultdb.roles.fact import PUBLIC, Fact

_ROLE = re.compile(r'"(?:[^"]|"")*"|[^,]+')


class FactOperations:
    """Makes operations; knows which schema need not be named.

    Args:
        default_schema: where tables without a schema are.

    """

    def __init__(self, default_schema: str) -> None:
        self._default_schema = default_schema

    def removing(self, facts: Iterable[Fact], kept: Iterable[Fact]) -> list[MigrateOperation]:
        """Return what makes facts untrue: privileges, policies, then row-level security.

        Args:
            facts: what shall not hold.
            kept: row-level security that stays in another form, which is no removal.

        """
        found = list(facts)
        staying = {each.object for each in kept if each.fact == "rls"}
        return [
            *self._privileges(found, RevokeOp),
            *(self._drop(each) for each in sorted(found) if each.fact == "policy"),
            *(
                self._disable(each)
                for each in sorted(found)
                if each.fact == "rls" and each.object not in staying
            ),
        ]

    def adding(self, facts: Iterable[Fact], before: Iterable[Fact]) -> list[MigrateOperation]:
        """Return what makes facts true: row-level security, policies, then privileges.

        A table is never open in between, also where a script runs without a transaction.

        Args:
            facts: what shall hold.
            before: row-level security that holds already, in another form.

        """
        found = list(facts)
        live = {each.object: each for each in before if each.fact == "rls"}
        security = [
            self._secure(each, live.get(each.object))
            for each in sorted(found)
            if each.fact == "rls"
        ]
        policies = [self._create(each) for each in sorted(found) if each.fact == "policy"]
        return [*security, *policies, *self._privileges(found, GrantOp)]

    def _privileges(
        self, facts: Iterable[Fact], make: type[PrivilegeOperation]
    ) -> list[MigrateOperation]:
        """Return one operation for the privileges of a role that are on the same columns."""
        columns: dict[tuple[tuple[str, ...], Kind, str, str], set[str]] = defaultdict(set)
        found: list[tuple[bool, tuple[str, ...], Kind, str, tuple[str, ...], str]] = []
        for fact in facts:
            parts = parts_of(fact.object)
            if fact.fact != "grant":
                continue
            if fact.kind == "column":
                columns[parts[:2], "table", fact.who, fact.value].add(parts[2])
            elif fact.kind in ("table", "sequence"):
                kind: Kind = "sequence" if fact.kind == "sequence" else "table"
                found.append((False, parts, kind, fact.who, (), fact.value))
        for (place, on, who, privilege), listed in columns.items():
            found.append((True, place, on, who, tuple(sorted(listed)), privilege))
        grouped: dict[tuple[bool, tuple[str, ...], Kind, str, tuple[str, ...]], set[str]]
        grouped = defaultdict(set)
        for by_column, place, kind, who, names, privilege in found:
            grouped[by_column, place, kind, who, names].add(privilege)
        return [
            make(
                [each for each in PRIVILEGES[kind] if each in privileges],
                place[1],
                _unquoted(who),
                columns=names or None,
                kind=kind,
                schema=self._schema(place[0]),
            )
            for (_, place, kind, who, names), privileges in sorted(grouped.items())
        ]

    def _secure(self, fact: Fact, before: Fact | None) -> MigrateOperation:
        schema, table = parts_of(fact.object)
        is_on = before is not None and before.value == "enabled"
        make = ForceRlsOp if is_on else EnableRlsOp
        return make(table, force=fact.extra == "forced", schema=self._schema(schema))

    def _disable(self, fact: Fact) -> DisableRlsOp:
        schema, table = parts_of(fact.object)
        return DisableRlsOp(table, force=fact.extra == "forced", schema=self._schema(schema))

    def _create(self, fact: Fact) -> CreatePolicyOp:
        schema, table, name = parts_of(fact.object)
        return CreatePolicyOp(name, table, _policy(fact), schema=self._schema(schema))

    def _drop(self, fact: Fact) -> DropPolicyOp:
        schema, table, name = parts_of(fact.object)
        return DropPolicyOp(name, table, _policy(fact), schema=self._schema(schema))

    def _schema(self, schema: str) -> str | None:
        return None if schema == self._default_schema else schema


def _policy(fact: Fact) -> Policy:
    kind, _, check = fact.extra.partition("|")
    roles = tuple(_unquoted(role) for role in _ROLE.findall(fact.who))
    return Policy(fact.kind, roles, fact.value or None, check or None, kind == "PERMISSIVE")


def _unquoted(who: str) -> str:
    return PUBLIC if who == PUBLIC else parts_of(who)[0]
