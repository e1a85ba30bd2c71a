"""What is declared is what PostgreSQL prints once it is granted, on 15 and on 17."""

from __future__ import annotations

import uuid

import pytest
from psycopg import errors
from sqlalchemy import Connection, text

from tests.integration.roles.tables import (
    METADATA,
    NAMES,
    SCHEMAS,
    WANTED,
    closed,
    live,
    repair,
    run,
)
from vaultdb.roles.declared import undeclared
from vaultdb.roles.fact import PUBLIC, Fact
from vaultdb.roles.live import live_facts
from vaultdb.roles.statements import statements


def test_every_kind_of_table_prints_as_declared(connection):
    assert live(connection) == frozenset()
    repair(connection)
    assert live(connection) == WANTED
    assert repair(connection) == []


def test_what_is_declared_can_be_taken_away_again(connection):
    repair(connection)
    for statement in statements((), WANTED):
        run(connection, statement)
    assert live(connection) == frozenset()


def test_undeclared_tables_are_named_and_stay_closed(connection):
    assert undeclared(METADATA) == [closed]
    repair(connection)
    facts = live_facts(connection, SCHEMAS, NAMES)
    assert {fact for fact in facts if fact.fact == "grant" and "closed" in fact.object} == set()


def test_the_policies_of_a_table_that_declares_its_own_are_left_alone(connection):
    repair(connection)
    facts = live_facts(connection, SCHEMAS, NAMES)
    assert {fact.fact for fact in facts if "hand_made" in fact.object} >= {"rls", "policy"}


def test_the_application_can_insert_rows_whose_keys_the_server_makes(connection):
    repair(connection)
    run(connection, "GRANT USAGE ON SCHEMA public, clinic TO vaultdb_rw")
    run(connection, "SET LOCAL ROLE vaultdb_rw")
    for sequence in ("person_id_seq", "clinic.visit_id_seq", "clinic.event_numbers"):
        assert connection.scalar(text(f"SELECT nextval('{sequence}')")) == 1


def test_what_a_column_was_granted_by_an_option_on_its_table_is_found_and_taken_back(connection):
    repair(connection)
    run(connection, "GRANT SELECT ON person TO vaultdb_rw WITH GRANT OPTION")
    run(connection, "SET LOCAL ROLE vaultdb_rw")
    run(connection, "GRANT SELECT (ssn) ON person TO PUBLIC")
    run(connection, "RESET ROLE")
    run(connection, "REVOKE GRANT OPTION FOR SELECT ON person FROM vaultdb_rw CASCADE")
    orphan = Fact("grant", "column", "public.person.ssn", PUBLIC, "SELECT", "BY vaultdb_rw")
    assert live(connection) - WANTED == {orphan}
    repair(connection)
    assert live(connection) == WANTED


def test_roles_that_gave_each_other_the_option_lose_it(connection):
    """No revoke by the owner ends such a circle: each still has the option from the other."""
    repair(connection)
    for giver in ("vaultdb_ro", "vaultdb_rotator"):
        run(connection, f"GRANT SELECT ON person TO {giver} WITH GRANT OPTION")
    for giver, taker in (("vaultdb_ro", "vaultdb_rotator"), ("vaultdb_rotator", "vaultdb_ro")):
        run(connection, f"SET LOCAL ROLE {giver}")
        run(connection, f"GRANT SELECT ON person TO {taker} WITH GRANT OPTION")
        run(connection, "RESET ROLE")
    assert any("GRANT OPTION BY" in fact.extra for fact in live(connection))
    repair(connection)
    assert live(connection) == WANTED


# -- what the declared access amounts to ---------------------------------------------------------

PARTIES = (NAMES.owner, NAMES.rw, NAMES.ro, NAMES.rotator)
NORTH, SOUTH = uuid.UUID(int=1), uuid.UUID(int=2)
ENVELOPE = r"'\xf6'::bytea || decode(repeat('00', 60), 'hex')"


@pytest.fixture
def people(connection: Connection) -> Connection:
    """One person of each tenant, and access as declared."""
    repair(connection)
    run(connection, f'GRANT USAGE ON SCHEMA public, clinic TO {", ".join(PARTIES)}, "select"')
    for number, tenant in enumerate((NORTH, SOUTH), 1):
        run(
            connection,
            "INSERT INTO person (id, kind, tenant_id, ssn, ssn_index) VALUES"
            f" ({number}, 'person', '{tenant}', {ENVELOPE}, '{number}')",
        )
    return connection


def act(connection: Connection, role: str, tenant: uuid.UUID | None = None) -> None:
    run(connection, f"SET LOCAL ROLE {role}")
    run(connection, f"SELECT set_config('vaultdb.tenant', '{tenant or ''}', true)")


def refused(connection: Connection, statement: str) -> bool:
    """Tell whether PostgreSQL refuses a statement for want of a right."""
    run(connection, "SAVEPOINT before")
    try:
        run(connection, statement)
    except errors.InsufficientPrivilege:
        return True
    finally:
        run(connection, "ROLLBACK TO before")
    return False


@pytest.mark.parametrize("role", ["vaultdb_rw", "vaultdb_ro"])
def test_the_application_and_reports_see_the_rows_of_the_tenant(people, role):
    for tenant, expected in [(NORTH, [1]), (SOUTH, [2]), (None, [])]:
        act(people, role, tenant)
        assert people.scalars(text("SELECT id FROM person")).all() == expected


def test_reports_see_no_ciphertext(people):
    act(people, "vaultdb_ro", NORTH)
    assert refused(people, "SELECT ssn FROM person")
    assert refused(people, "SELECT ssn_index FROM person")
    assert refused(people, "SELECT * FROM person")
    assert not refused(people, "SELECT id, kind, tenant_id FROM person")
    assert refused(people, "UPDATE person SET kind = 'x'")


def test_the_rotator_sees_keys_and_ciphertext_of_all_rows_and_changes_only_the_latter(people):
    act(people, "vaultdb_rotator")
    rows = people.execute(text("SELECT id, tenant_id, ssn, ssn_index FROM person")).all()
    assert len(rows) == 2
    changed = people.execute(
        text("UPDATE person SET ssn = ssn, ssn_index = ssn_index WHERE id > 0")
    )
    assert changed.rowcount == 2
    for statement in (
        "SELECT kind FROM person",
        "UPDATE person SET kind = 'x'",
        "UPDATE person SET tenant_id = gen_random_uuid()",
        "DELETE FROM person",
        "INSERT INTO person (id) VALUES (3)",
        "SELECT id FROM small",
    ):
        assert refused(people, statement), statement


def test_a_policy_that_is_added_later_does_not_open_the_table(people):
    run(people, "CREATE POLICY later ON person TO vaultdb_rw USING (true) WITH CHECK (true)")
    act(people, "vaultdb_rw", NORTH)
    assert people.scalars(text("SELECT id FROM person")).all() == [1]


def test_a_foreign_key_is_checked_although_its_table_hides_all_rows_from_the_owner(people):
    act(people, "vaultdb_owner")
    assert people.scalars(text("SELECT id FROM person")).all() == []
    act(people, "vaultdb_rw", NORTH)
    run(people, f"INSERT INTO patient (id, diagnosis) VALUES (1, {ENVELOPE})")


def test_a_partition_is_no_way_past_the_policies_of_its_parent(people):
    run(people, "INSERT INTO event_log (id, day, tenant) VALUES (1, 1, 'x')")
    act(people, "vaultdb_rw")
    assert people.scalars(text("SELECT id FROM event_log")).all() == []
    assert refused(people, "SELECT id FROM event_log_1")


@pytest.mark.parametrize("table", ["person", "patient", "clinic.visit", "small", "closed"])
def test_nobody_truncates_and_nobody_else_is_let_in(people, table):
    for role in (*PARTIES[1:], '"select"'):
        act(people, role, NORTH)
        assert refused(people, f"TRUNCATE {table} CASCADE")
    run(people, "RESET ROLE")
    run(people, "CREATE ROLE somebody")
    run(people, "GRANT USAGE ON SCHEMA public, clinic TO somebody")
    act(people, "somebody", NORTH)
    assert refused(people, f"SELECT FROM {table}")
