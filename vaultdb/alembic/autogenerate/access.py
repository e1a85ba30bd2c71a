"""Declared access against the access that is: what a revision has to grant and to take away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from alembic.operations import MigrateOperation
from sqlalchemy import Connection, MetaData, text

from vaultdb.alembic.autogenerate.fact_operations import FactOperations
from vaultdb.alembic.autogenerate.lookups import Lookups
from vaultdb.alembic.autogenerate.seen import Key, Seen
from vaultdb.db.quoting import parts_of, qualified
from vaultdb.db.role_names import RoleNames
from vaultdb.roles.declared import declared
from vaultdb.roles.fact import Fact
from vaultdb.roles.live import live_facts
from vaultdb.roles.sequences import implicit_name, used_sequences
from vaultdb.roles.wanted import about_declared, wanted_facts

_BORN = {"tables": "table", "sequences": "sequence"}
_CURRENT_ROLE = text("SELECT pg_catalog.quote_ident(current_user)")


@dataclass(slots=True)
class Moves:
    """What gets another name in the same revision."""

    tables: dict[Key, str] = field(default_factory=dict)
    columns: dict[Key, dict[str, str]] = field(default_factory=dict)
    standing_in: dict[Key, dict[str, str]] = field(default_factory=dict)
    """Columns declared under the name of the plaintext that is still there."""


@dataclass(kw_only=True)
class AccessComparison:
    """Compares once, for all tables that have been seen.

    Args:
        connection: as whoever will own the tables.
        metadatas: what is declared.
        names: the capability roles.
        seen: the tables that are compared at all.
        lookups: what else the database knows.
        moves: renames.

    """

    connection: Connection
    metadatas: Sequence[MetaData]
    names: RoleNames
    seen: Seen
    lookups: Lookups
    moves: Moves

    def __post_init__(self) -> None:
        self._default = self.lookups.default_schema
        self._facts = FactOperations(self._default)

    def operations(self) -> tuple[list[MigrateOperation], list[MigrateOperation]]:
        """Return what is to be done before everything else, and what after it.

        What goes is named as it is called before, so that a downgrade brings it back last.
        """
        everything = live_facts(self.connection, sorted(self._schemas()), self.names)
        live = {self._moved(fact): fact for fact in everything}
        after = set(live) | set(self._born(everything))
        ours = self._about(after)
        wanted = {self._placed(fact) for fact in self._wanted()}
        excess, missing = ours - wanted, wanted - ours
        missing |= _wiped(excess, wanted)
        leaving = set(self._of_dropped_tables(everything))
        before = {live[fact] for fact in excess if fact in live} | leaving
        born = {fact for fact in excess if fact not in live}
        removing = self._facts.removing(before, missing)
        adding = [*self._facts.removing(born, ()), *self._facts.adding(missing, excess)]
        return removing, adding

    def _schemas(self) -> set[str]:
        return {schema or self._default for schema, _ in self.seen.declared}

    def _wanted(self) -> Iterator[Fact]:
        for metadata in self.metadatas:
            facts = wanted_facts(metadata, self.names, default_schema=self._default)
            yield from self._about(facts)

    def _about(self, facts: Iterable[Fact]) -> set[Fact]:
        """Return what is about tables that are declared and compared."""
        found: set[Fact] = set()
        facts = list(facts)
        tables, sequences = set(self._tables()), set(self._sequences())
        for metadata in self.metadatas:
            for fact in about_declared(facts, metadata, default_schema=self._default):
                parts = parts_of(fact.object)
                if parts in sequences if fact.kind == "sequence" else parts[:2] in tables:
                    found.add(fact)
        return found

    def _tables(self) -> Iterator[tuple[str, str]]:
        for (schema, name), table in self.seen.declared.items():
            if table is not None:
                yield (schema or self._default, name)

    def _sequences(self) -> Iterator[tuple[str, str]]:
        for table in self.seen.declared.values():
            if table is not None:
                yield from used_sequences(table, self._default)

    def _moved(self, fact: Fact) -> Fact:
        """Return a fact under the names that hold after the renames."""
        parts = list(parts_of(fact.object))
        if fact.kind == "sequence":
            for key, name in self.moves.tables.items():
                live = self.seen.live[key]
                for column in live.columns if live is not None else ():
                    if parts == [key[0] or self._default, implicit_name(key[1], column.name)]:
                        parts[1] = implicit_name(name, column.name)
            return replace(fact, object=qualified(*parts))
        if fact.fact not in ("grant", "rls", "policy") or len(parts) < 2:  # noqa: PLR2004
            return fact
        key = (None if parts[0] == self._default else parts[0], parts[1])
        parts[1] = self.moves.tables.get(key, parts[1])
        if fact.kind == "column":
            parts[2] = self.moves.columns.get(key, {}).get(parts[2], parts[2])
        return replace(fact, object=qualified(*parts))

    def _placed(self, fact: Fact) -> Fact:
        """Return a wanted fact on the column that stands in for the one that is declared."""
        if fact.kind != "column":
            return fact
        schema, table, column = parts_of(fact.object)
        key = (None if schema == self._default else schema, table)
        column = self.moves.standing_in.get(key, {}).get(column, column)
        return replace(fact, object=qualified(schema, table, column))

    def _born(self, live: Iterable[Fact]) -> Iterator[Fact]:
        """Return what default privileges will grant on the tables that are to be created."""
        owner = self.connection.scalar(_CURRENT_ROLE)
        new = [
            ("table", (key[0] or self._default, key[1]))
            for key, table in self.seen.live.items()
            if table is None and key[1] not in self.moves.tables.values()
        ]
        for key, table in self.seen.live.items():
            declaration = self.seen.declared.get(key)
            if table is None and declaration is not None:
                new += [("sequence", place) for place in used_sequences(declaration, self._default)]
        for fact in live:
            kind = _BORN.get(fact.kind)
            if fact.fact != "default" or kind is None:
                continue
            for of, place in new:
                everywhere = fact.object == f"{owner}:*"
                if of == kind and (everywhere or fact.object == f"{owner}:{qualified(place[0])}"):
                    yield Fact("grant", kind, qualified(*place), fact.who, fact.value, fact.extra)

    def _of_dropped_tables(self, live: Iterable[Fact]) -> Iterator[Fact]:
        """Return what goes with the tables that are dropped, for the downgrade to bring back."""
        tables: set[tuple[str, ...]] = set()
        sequences: set[tuple[str, ...]] = set()
        for key, table in self.seen.live.items():
            is_dropped = self.seen.declared[key] is None and key not in self.moves.tables
            if table is not None and is_dropped:
                tables.add((key[0] or self._default, key[1]))
                sequences |= set(self.lookups.sequences(table))
        for fact in live:
            parts = parts_of(fact.object)
            on_sequence = (fact.fact, fact.kind) == ("grant", "sequence") and parts in sequences
            on_table = fact.fact in ("grant", "rls", "policy") and parts[:2] in tables
            if on_sequence or on_table:
                yield fact


def is_any_declared(metadatas: Iterable[MetaData]) -> bool:
    """Tell whether access is declared for any table."""
    return any(declared(metadata) for metadata in metadatas)


def _wiped(excess: set[Fact], wanted: set[Fact]) -> set[Fact]:
    """Return the wanted privileges on columns that revoking one on their table takes along."""
    revoked = {(f.object, f.who, f.value) for f in excess if (f.fact, f.kind) == ("grant", "table")}
    return {
        fact
        for fact in wanted
        if (fact.fact, fact.kind) == ("grant", "column")
        and (qualified(*parts_of(fact.object)[:2]), fact.who, fact.value) in revoked
    }
