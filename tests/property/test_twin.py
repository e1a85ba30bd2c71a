"""An encrypted table and its plaintext twin agree under random statements.

Every step applies one statement to both tables, every query must return the same rows from both.
Ciphertexts are bound to their rows, so a value that ended up in the wrong place does not decrypt.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    func,
    insert,
    literal,
    select,
    union,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, registry

import vaultdb
from tests.fixtures.postgres import Postgres
from vaultdb import Encrypted, Equality
from vaultdb.keys.keyring import Keyring
from vaultdb.keys.store import MemoryKeyStore
from vaultdb.vault.providers.memory import MemoryProvider

metadata = MetaData()


def table(name: str, text: Any, number: Any, flag: Any, indexed: Any) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("ward", String(10)),
        Column("name", indexed),
        Column("note", text),
        Column("number", number),
        Column("flag", flag),
    )


twins = (
    table("twin_plain", String, BigInteger, Boolean, String),
    table(
        "twin_secret",
        Encrypted(str),
        Encrypted(int),
        Encrypted(bool),
        Encrypted(str, index=Equality()),
    ),
)


def columns(t: Table) -> list[Column[Any]]:
    """Return the columns that both have; the blind index beside a column is vaultdb's own."""
    return [t.c[name] for name in ("id", "ward", "name", "note", "number", "flag")]


class Plain:
    """The twin in the clear."""


class Secret:
    """The encrypted twin."""


mappers = registry()
mappers.map_imperatively(Plain, twins[0])
mappers.map_imperatively(Secret, twins[1])
entities = (Plain, Secret)

keys = st.integers(0, 5)
wards = st.sampled_from(["north", "south"])
names = st.none() | st.sampled_from(["Ada", "ada", "", "Łódź", "e\u0301", "\u00e9", "💊"])
values = st.fixed_dictionaries(
    {
        "ward": wards,
        "name": names,
        "note": st.none()
        | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
        "number": st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
        "flag": st.none() | st.booleans(),
    }
)
rows = st.builds(lambda key, row: {"id": key, **row}, keys, values)
many = st.lists(rows, min_size=1, max_size=4, unique_by=lambda row: row["id"])
changes = values.flatmap(
    lambda row: st.sets(st.sampled_from(sorted(row)), min_size=1).map(
        lambda chosen: {key: row[key] for key in sorted(chosen)}
    )
)

# Queries: a function of the table, compared as sorted rows.
QUERIES = {
    "rows": lambda t, _: select(*columns(t)),
    "columns": lambda t, _: select(t.c.note, t.c.number),
    "equal": lambda t, name: select(t.c.id, t.c.name, t.c.note).where(t.c.name == name),
    "not equal": lambda t, name: select(t.c.id).where(t.c.name != name),
    "in": lambda t, name: select(t.c.id, t.c.number).where(t.c.name.in_([name, "Ada"])),
    "not in": lambda t, name: select(t.c.id).where(t.c.name.not_in([name or "", "Ada"])),
    "null": lambda t, _: select(t.c.id, t.c.flag).where(t.c.note.is_(None)),
    "not null": lambda t, _: select(t.c.id, t.c.note).where(t.c.note.is_not(None)),
    "count": lambda t, _: select(func.count(t.c.name), func.count(t.c.flag), func.count()),
    "count per ward": lambda t, _: select(t.c.ward, func.count(t.c.note)).group_by(t.c.ward),
    "count of matches": lambda t, name: select(func.count()).where(t.c.name == name),
    "limit": lambda t, _: select(t.c.id, t.c.note).order_by(t.c.ward, t.c.id).limit(2).offset(1),
    "subquery": lambda t, _: select(
        (q := select(t.c.id, t.c.number).where(t.c.ward == "north").subquery()).c.number, q.c.id
    ),
    "cte": lambda t, name: select(
        (q := select(*columns(t)).where(t.c.name == name).cte()).c.note, q.c.id
    ),
    "alias": lambda t, _: select((a := t.alias()).c.name, a.c.flag).where(a.c.id > 1),
    "self join": lambda t, _: select(t.c.id, (a := t.alias()).c.id, a.c.name).join(
        a, t.c.name == a.c.name
    ),
    "left join": lambda t, _: select(t.c.note, (a := t.alias()).c.note).outerjoin(
        a, a.c.id == t.c.id + 1
    ),
    "union all": lambda t, name: union_all(
        select(t.c.id, t.c.note).where(t.c.ward == "north"),
        select(t.c.id, t.c.note).where(t.c.name == name),
    ),
    "union": lambda t, _: union(select(t.c.id, t.c.note), select(t.c.id, t.c.note)),
    "distinct": lambda t, _: select(t.c.id, t.c.name).distinct(),
    "exists": lambda t, name: select(t.c.id).where(
        select((a := t.alias()).c.id).where(a.c.name == name, a.c.id > t.c.id).exists()
    ),
    "window": lambda t, _: select(
        t.c.note, func.row_number().over(partition_by=t.c.ward, order_by=t.c.id)
    ),
    "literal": lambda t, _: select(literal("x"), t.c.name, t.c.ward),
}


class Twins(RuleBasedStateMachine):
    """Random statements on both tables in one transaction."""

    engine: ClassVar[Engine]

    connection: Connection

    @initialize()
    def begin(self) -> None:
        self.connection = self.engine.connect()
        self.transaction = self.connection.begin()

    def teardown(self) -> None:
        self.transaction.rollback()
        self.connection.close()

    def both(self, build) -> None:
        counts = [self.connection.execute(build(t)).rowcount for t in twins]
        assert counts[0] == counts[1]

    def missing(self, rows):
        taken = set(self.connection.scalars(select(twins[0].c.id)))
        return [row for row in rows if row["id"] not in taken]

    @rule(rows=many)
    def insert_many(self, rows):
        if rows := self.missing(rows):
            for t in twins:
                self.connection.execute(insert(t), rows)

    @rule(rows=many)
    def insert_values(self, rows):
        if rows := self.missing(rows):
            self.both(lambda t: insert(t).values(rows))

    @rule(rows=many)
    def insert_returning(self, rows):
        if rows := self.missing(rows):
            returned = [
                sorted(
                    self.connection.execute(insert(t).returning(t.c.id, t.c.note), rows).all(),
                    key=repr,
                )
                for t in twins
            ]
            assert returned[0] == returned[1]

    @rule(row=rows)
    def upsert(self, row):
        def build(t):
            statement = postgresql.insert(t).values(row)
            taken = {key: statement.excluded[key] for key in row if key != "id"}
            return statement.on_conflict_do_update(index_elements=["id"], set_=taken)

        self.both(build)

    @rule(key=keys, change=changes)
    def update_row(self, key, change):
        self.both(lambda t: update(t).where(t.c.id == key).values(change))

    @rule(key=keys, change=changes, ward=wards)
    def update_row_if(self, key, change, ward):
        self.both(lambda t: update(t).where(t.c.id == key, t.c.ward == ward).values(change))

    @rule(ward=wards, to=wards)
    def update_plain(self, ward, to):
        self.both(lambda t: update(t).where(t.c.ward == ward).values(ward=to))

    @rule(ward=wards, column=st.sampled_from(["name", "note", "number", "flag"]))
    def erase(self, ward, column):
        self.both(lambda t: update(t).where(t.c.ward == ward).values({column: None}))

    @rule(name=names)
    def delete_matches(self, name):
        self.both(lambda t: delete(t).where(t.c.name == name))

    @rule(key=keys)
    def delete_row(self, key):
        self.both(lambda t: delete(t).where(t.c.id == key))

    @rule(row=rows, change=changes)
    def session_merges_and_changes(self, row, change):
        for entity in entities:
            with Session(self.connection, join_transaction_mode="create_savepoint") as session:
                target = session.get(entity, row["id"])
                if target is None:
                    target = entity()
                    session.add(target)
                for key, value in row.items():
                    setattr(target, key, value)
                session.flush()
                for key, value in change.items():
                    setattr(target, key, value)
                session.commit()

    @rule(key=keys, new=keys, row=values)
    def update_moves_a_row(self, key, new, row):
        """A new key with every value anew."""
        if new == key or not self.missing([{"id": new}]):
            return
        self.both(lambda t: update(t).where(t.c.id == key).values(id=new, **row))

    @rule(row=rows)
    def a_savepoint_is_rolled_back(self, row):
        with self.connection.begin_nested() as savepoint:
            for t in twins:
                self.connection.execute(delete(t).where(t.c.id == row["id"]))
                self.connection.execute(insert(t).values(row))
            savepoint.rollback()

    @rule(query=st.sampled_from(sorted(QUERIES)), name=names)
    def ask(self, query, name):
        plain, secret = (
            sorted(map(repr, self.connection.execute(QUERIES[query](t, name)).all())) for t in twins
        )
        assert plain == secret, query

    @invariant()
    def the_same_rows(self) -> None:
        plain, secret = (
            self.connection.execute(select(*columns(t)).order_by(t.c.id)).all() for t in twins
        )
        assert plain == secret


@pytest.fixture(scope="module")
def engine(postgres: Postgres, realm):
    database = postgres.create_database()
    database.create_all(metadata)
    keyring = Keyring(
        realm=realm, provider=MemoryProvider(), store=MemoryKeyStore(), create_keys=True
    )
    engine = create_engine(database.sqlalchemy_url)
    vaultdb.install(engine, keyring=keyring)
    yield engine
    engine.dispose()
    keyring.close()
    postgres.drop_database(database.name)


def test_an_encrypted_table_and_its_twin_agree(engine):
    Twins.engine = engine
    machine = Twins.TestCase
    machine.settings = settings(
        max_examples=40,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine().runTest()
