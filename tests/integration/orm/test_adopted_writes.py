"""Writing and searching a column that is being adopted."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, delete, event, exists, func, insert, not_, select, text, update
from sqlalchemy.dialects import postgresql

from tests.integration.orm.adopted import TYPES, Base, Person, every_type
from vaultdb.alembic.operations import CreateInvalidationTriggerOp
from vaultdb.errors import StatementRefused

P = Person.__table__
NAME = '"Odd ""person"""'


@pytest.fixture(scope="module")
def adopted(matrix):
    """The tables, with the trigger that empties what an old release has made stale."""
    matrix.create_all(Base.metadata)
    with matrix.connect() as connection:
        trigger = CreateInvalidationTriggerOp(
            P.name, "select", "ssn_encrypted", companion="ssn_encrypted_index"
        )
        for statement in trigger.statements():
            connection.execute(statement)
        connection.execute(f'CREATE INDEX ON {NAME} ("select")')
        connection.commit()
    return matrix


@pytest.fixture
def people(adopted, session):
    return session


def stored(session, key):
    """Return the plaintext, and whether there is a ciphertext and an index value."""
    statement = text(
        'SELECT "select", ssn_encrypted IS NOT NULL, ssn_encrypted_index IS NOT NULL'
        f" FROM {NAME} WHERE id = :id"
    )
    return tuple(session.execute(statement, {"id": key}).one())


def old_release_writes(session, key, value):
    statement = f"INSERT INTO {NAME} (id, ward, \"select\") VALUES (:id, 'n', :value)"
    session.execute(text(statement), {"id": key, "value": value})


def test_an_object_is_written_to_both_columns(people):
    person = Person(id=1, ssn="1")
    people.add(person)
    people.flush()
    assert stored(people, 1) == ("1", True, True)
    assert person.ssn_plain == "1"
    person.ssn = "2"
    people.flush()
    assert stored(people, 1) == ("2", True, True)
    assert person.ssn_plain == "2"
    person.ssn = None
    people.flush()
    assert stored(people, 1) == (None, False, False)


def test_a_row_of_an_old_release_is_encrypted_when_it_is_written(people):
    old_release_writes(people, 1, "1")
    people.get(Person, 1).ssn = "2"
    people.flush()
    assert stored(people, 1) == ("2", True, True)


def test_the_trigger_leaves_what_is_written_together_and_empties_the_rest(people):
    people.add(Person(id=1, ssn="1"))
    people.flush()
    people.execute(update(P).where(P.c.id == 1).values(ssn_encrypted="2"))
    assert stored(people, 1) == ("2", True, True)
    people.execute(text(f"UPDATE {NAME} SET \"select\" = 'old'"))
    assert stored(people, 1) == ("old", False, False)
    assert people.scalar(select(Person.ssn)) == "old"


WRITES = {
    "values": lambda s: s.execute(insert(P).values(id=1, ssn_encrypted="1")),
    "parameters": lambda s: s.execute(insert(P), {"id": 1, "ssn_encrypted": "1"}),
    "executemany": lambda s: s.execute(
        insert(P), [{"id": 1, "ssn_encrypted": "1"}, {"id": 2, "ssn_encrypted": None}]
    ),
    "rows": lambda s: s.execute(
        insert(P).values([{"id": 1, "ssn_encrypted": "1"}, {"id": 2, "ssn_encrypted": None}])
    ),
    "bind": lambda s: s.execute(
        insert(P).values(id=1, ssn_encrypted=bindparam("given")), {"given": "1"}
    ),
    "bulk": lambda s: s.execute(insert(Person), [{"id": 1, "ssn": "1"}]),
    "bulk objects": lambda s: s.bulk_save_objects([Person(id=1, ssn="1")]),
    "returning": lambda s: s.scalars(insert(Person).returning(Person), [{"id": 1, "ssn": "1"}]),
    "merge": lambda s: (s.merge(Person(id=1, ssn="1")), s.flush()),
}


@pytest.mark.parametrize("write", WRITES)
def test_every_way_to_insert_writes_both(people, write):
    WRITES[write](people)
    assert stored(people, 1) == ("1", True, True)


UPDATES = {
    "values": lambda s: s.execute(update(P).where(P.c.id == 1).values(ssn_encrypted="2")),
    "ordered": lambda s: s.execute(
        update(P).where(P.c.id == 1).ordered_values((P.c.ssn_encrypted, "2"), (P.c.ward, "w"))
    ),
    "executemany": lambda s: s.connection().execute(
        update(P).where(P.c.id == bindparam("k")).values(ssn_encrypted=bindparam("v")),
        [{"k": 1, "v": "2"}],
    ),
    "bulk": lambda s: s.execute(update(Person), [{"id": 1, "ssn": "2"}]),
    "entity": lambda s: s.execute(update(Person).where(Person.id == 1).values(ssn="2")),
    "upsert of excluded": lambda s: _upsert(s, lambda e: {"ssn_encrypted": e.ssn_encrypted}),
    "upsert of a literal": lambda s: _upsert(s, lambda _: {P.c.ssn_encrypted: "2"}),
    "upsert of both": lambda s: _upsert(
        s, lambda e: {"ssn_encrypted": e.ssn_encrypted, "select": e["select"]}
    ),
}


def _upsert(session, values):
    statement = postgresql.insert(P).values(id=1, ssn_encrypted="2")
    session.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_=values(statement.excluded))
    )


@pytest.mark.parametrize("write", UPDATES)
@pytest.mark.parametrize("old", [True, False])
def test_every_way_to_update_writes_both(people, write, old):
    if old:
        old_release_writes(people, 1, "1")
    else:
        people.execute(insert(P).values(id=1, ssn_encrypted="1"))
    UPDATES[write](people)
    assert stored(people, 1) == ("2", True, True)


def test_null_is_written_to_both(people):
    people.execute(insert(P).values(id=1, ssn_encrypted="1"))
    people.execute(update(P).values(ssn_encrypted=None))
    assert stored(people, 1) == (None, False, False)


def test_none_in_a_document_is_null_and_not_json(adopted, session):
    session.execute(insert(every_type), [{"id": 1, "dict_encrypted": None}])
    session.execute(insert(every_type).values([{"id": 2, "dict_encrypted": None}]))
    session.execute(insert(every_type).values(id=3, dict_encrypted={"a": 1}))
    session.execute(update(every_type).where(every_type.c.id == 3).values(dict_encrypted=None))
    assert session.scalars(text("SELECT dict IS NULL FROM every_type")).all() == [True] * 3


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_written_through_the_type_of_the_plaintext_column(adopted, session, name):
    value = TYPES[name][2]
    session.execute(insert(every_type).values({"id": 1, f"{name}_encrypted": value}))
    assert session.scalar(select(every_type.c[name])) == value


def test_other_updates_leave_both_alone(people):
    people.execute(insert(P).values(id=1, ssn_encrypted="1"))
    people.execute(update(P).values(ward="w"))
    people.get(Person, 1).ward = "x"
    people.flush()
    assert stored(people, 1) == ("1", True, True)


ALONE = {
    "insert": lambda: insert(P).values(id=5, select="x"),
    "insert of two values": lambda: insert(P).values(id=5, select="x", ssn_encrypted="y"),
    "insert of SQL": lambda: insert(P).values(id=5, select=func.now(), ssn_encrypted="y"),
    "update": lambda: update(P).values(select="x"),
    "update to NULL": lambda: update(P).values(select=None),
    "update of two values": lambda: (
        update(P).where(P.c.id == 1).values(select="x", ssn_encrypted="y")
    ),
    "insert from select": lambda: insert(P).from_select(["id", "select"], select(P.c.id, P.c.ward)),
    "upsert": lambda: (
        postgresql.insert(P)
        .values(id=1, ssn_encrypted="2")
        .on_conflict_do_update(index_elements=["id"], set_={"select": "x"})
    ),
}


@pytest.mark.parametrize("statement", ALONE)
def test_the_plaintext_column_cannot_be_written_past_the_attribute(people, statement):
    with pytest.raises(StatementRefused) as caught:
        people.execute(ALONE[statement]())
    assert "'x'" not in str(caught.value)


def test_an_object_whose_plaintext_attribute_is_set_is_refused(people):
    people.add(Person(id=1, ssn_plain="x"))
    with pytest.raises(StatementRefused, match=r"write only that"):
        people.flush()


# -- searching -------------------------------------------------------------------------------------


@pytest.fixture
def four(people):
    """Two rows of each kind: 1 and 2 are plaintext, 3 and 4 encrypted; 5 has no value."""
    for key in (1, 2):
        old_release_writes(people, key, str(key))
    people.add_all([Person(id=key, ssn=str(key)) for key in (3, 4)])
    people.add(Person(id=5))
    people.flush()
    people.expire_all()
    return people


CONDITIONS = {
    "equal, plaintext": (lambda: Person.ssn == "1", [1]),
    "equal, encrypted": (lambda: Person.ssn == "3", [3]),
    "in": (lambda: Person.ssn.in_(["2", "4"]), [2, 4]),
    "in a generator": (lambda: Person.ssn.in_(str(n) for n in (2, 4)), [2, 4]),
    "in nothing": (lambda: Person.ssn.in_([]), []),
    "not equal": (lambda: Person.ssn != "1", [2, 3, 4]),
    "not equal, encrypted": (lambda: Person.ssn != "3", [1, 2, 4]),
    "not in": (lambda: Person.ssn.not_in(["1", "3"]), [2, 4]),
    "not of equal": (lambda: not_(Person.ssn == "1"), [2, 3, 4]),
    "not of in": (lambda: ~Person.ssn.in_(["1", "3"]), [2, 4]),
    "not in with NULL": (lambda: Person.ssn.not_in(["1", None]), []),
    "null": (lambda: Person.ssn.is_(None), [5]),
    "equal to None": (lambda: Person.ssn == None, [5]),  # noqa: E711
    "not null": (lambda: Person.ssn.is_not(None), [1, 2, 3, 4]),
    "not of null": (lambda: ~Person.ssn.is_(None), [1, 2, 3, 4]),
    "and": (lambda: (Person.ssn == "1") & (Person.id == 1), [1]),
    "or": (lambda: (Person.ssn == "1") | (Person.ssn == "3"), [1, 3]),
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_search_finds_rows_in_both_states(four, condition):
    build, keys = CONDITIONS[condition]
    statement = select(Person).where(build()).order_by(Person.id)
    assert [person.id for person in four.scalars(statement)] == keys
    assert [p.ssn for p in four.scalars(statement)] == [None if k == 5 else str(k) for k in keys]
    assert four.scalar(select(func.count()).select_from(Person).where(build())) == len(keys)


def test_a_cached_search_takes_its_own_value(four):
    found = [four.scalar(select(Person.id).where(Person.ssn == str(n))) for n in range(1, 5)]
    assert found == [1, 2, 3, 4]
    found = [
        four.scalars(select(Person.id).where(Person.ssn.in_(v))).all() for v in (["1"], ["3", "4"])
    ]
    assert found == [[1], [3, 4]]


def test_a_search_through_a_subquery_and_in_exists(four):
    inner = select(Person.id, Person.ssn).where(Person.ssn.in_(["1", "3"])).subquery()
    assert sorted(four.scalars(select(inner.c.ssn))) == ["1", "3"]
    found = exists().where(Person.ssn == "1")
    assert four.scalar(select(found)) is True


def test_a_delete_by_value_finds_rows_in_both_states(four):
    assert four.execute(delete(Person).where(Person.ssn.in_(["1", "3"]))).rowcount == 2


def test_what_cannot_be_searched_in_plaintext_is_refused(four):
    with pytest.raises(StatementRefused, match="bindparam"):
        Person.ssn == bindparam("value")  # noqa: B015
    other = P.alias()
    with pytest.raises(StatementRefused, match="plaintext is allowed"):
        P.c.ssn_encrypted == other.c.ssn_encrypted  # noqa: B015


def test_a_search_uses_the_indexes_of_both_columns(four, engine):
    four.execute(text("SET LOCAL enable_seqscan = off"))
    sent = []

    def note(_connection, _cursor, statement, parameters, *_):
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    four.execute(select(P.c.id).where(P.c.ssn_encrypted == "1"))
    event.remove(engine, "before_cursor_execute", note)
    plan = four.connection().exec_driver_sql(f"EXPLAIN {sent[-1][0]}", sent[-1][1])
    assert "BitmapOr" in "\n".join(plan.scalars())
