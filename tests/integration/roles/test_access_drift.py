"""Whatever was granted, revoked or opened by hand, one script leads back to what is declared."""

from __future__ import annotations

import random
from collections.abc import Callable

from psycopg import errors
from sqlalchemy import Connection

from tests.integration.roles.tables import WANTED, live, repair, run
from vaultdb.roles.fact import PUBLIC

TABLES = [
    "person", "patient", "clinic.visit", "membership", "event_log", "small", "hand_made", "summary",
]  # fmt: skip
ROLES = ["vaultdb_rw", "vaultdb_ro", "vaultdb_rotator", PUBLIC, '"select"', "vaultdb_backup"]
COLUMNS = {
    "person": ["id", "tenant_id", "ssn", "ssn_index"], "patient": ["id", "diagnosis"],
    "clinic.visit": ["id", "note", "owner"], "membership": ["person", "tenant"],
    "event_log": ["id", "tenant"], "small": ["id", "json", "body"], "hand_made": ["id"],
    "summary": ["id"],
}  # fmt: skip


def table_grant(rng: random.Random, table: str) -> list[str]:
    privilege = rng.choice(["SELECT", "UPDATE", "INSERT", "DELETE", "TRUNCATE", "ALL", "TRIGGER"])
    return [f"GRANT {privilege} ON {table} TO {rng.choice(ROLES)}"]


def table_revoke(rng: random.Random, table: str) -> list[str]:
    """Wipes the grants on its columns too."""
    privilege = rng.choice(["SELECT", "UPDATE", "INSERT", "DELETE", "ALL"])
    return [f"REVOKE {privilege} ON {table} FROM {rng.choice(ROLES)}"]


def column_grant(rng: random.Random, table: str) -> list[str]:
    privilege = rng.choice(["SELECT", "UPDATE", "INSERT", "REFERENCES"])
    column, role = rng.choice(COLUMNS[table]), rng.choice(ROLES)
    return [f"GRANT {privilege} ({column}) ON {table} TO {role}"]


def column_revoke(rng: random.Random, table: str) -> list[str]:
    column, role = rng.choice(COLUMNS[table]), rng.choice(ROLES)
    return [f"REVOKE {rng.choice(['SELECT', 'UPDATE'])} ({column}) ON {table} FROM {role}"]


def passed_on(rng: random.Random, table: str) -> list[str]:
    """Grant with GRANT OPTION, and let the role pass it on: only it or a cascade revokes that."""
    privilege = rng.choice(["SELECT", "UPDATE", "INSERT"])
    first, second, third = rng.sample(["vaultdb_rw", "vaultdb_ro", "vaultdb_rotator"], 3)
    column = f" ({rng.choice(COLUMNS[table])})" if rng.random() < 0.5 else ""
    return [
        f"GRANT {privilege} ON {table} TO {first} WITH GRANT OPTION",
        f"SET LOCAL ROLE {first}",
        f"GRANT {privilege}{column} ON {table} TO {second} WITH GRANT OPTION",
        f"GRANT {privilege}{column} ON {table} TO {rng.choice(ROLES)}",
        f"SET LOCAL ROLE {second}",
        f"GRANT {privilege}{column} ON {table} TO {third}",
        "RESET ROLE",
    ]


def row_security(rng: random.Random, table: str) -> list[str]:
    change = rng.choice(["DISABLE", "NO FORCE", "ENABLE", "FORCE"])
    return [] if table == "summary" else [f"ALTER TABLE {table} {change} ROW LEVEL SECURITY"]


def policy(rng: random.Random, table: str) -> list[str]:
    """Add, drop, rewrite or open a policy."""
    if table == "summary":
        return []
    return rng.choice(
        [
            [f"CREATE POLICY p{rng.randrange(10**9)} ON {table} USING (true)"],
            [f"DROP POLICY IF EXISTS vaultdb_rows ON {table}"],
            [
                f"DROP POLICY IF EXISTS vaultdb_floor ON {table}",
                f"CREATE POLICY vaultdb_floor ON {table} AS RESTRICTIVE USING (true)",
            ],
            ["ALTER POLICY vaultdb_rows ON person TO PUBLIC USING (true)"]
            if table == "person" and rng.random() < 0.3
            else [],
        ]
    )


def sequence(rng: random.Random, _table: str) -> list[str]:
    name = rng.choice(["person_id_seq", "clinic.event_numbers", "clinic.visit_id_seq"])
    privilege, role = rng.choice(["ALL", "SELECT", "USAGE"]), rng.choice(ROLES[:3])
    option = rng.choice(["", " WITH GRANT OPTION"])
    return [
        f"REVOKE USAGE ON SEQUENCE {name} FROM vaultdb_rw CASCADE",
        f"GRANT {privilege} ON SEQUENCE {name} TO {role}{option}",
    ]


IMPOSSIBLE = (
    errors.UndefinedObject,
    errors.DependentObjectsStillExist,
    errors.InsufficientPrivilege,
    errors.InvalidGrantOperation,
)
DRIFTS: list[Callable[[random.Random, str], list[str]]] = [
    table_grant, table_revoke, column_grant, column_revoke, passed_on, row_security, policy,
    sequence,
]  # fmt: skip


def attempt(connection: Connection, statement: str) -> None:
    """Run a drift, unless an earlier one has made it impossible."""
    run(connection, "SAVEPOINT before")
    try:
        run(connection, statement)
    except IMPOSSIBLE:
        run(connection, "ROLLBACK TO before")


def test_from_any_drift_one_script_leads_back(connection):
    seed = random.randrange(10**6)  # pytest-randomly's
    rng = random.Random(seed)
    repair(connection)
    run(connection, "SAVEPOINT repaired")
    for _ in range(20):
        applied = []
        for _ in range(rng.randrange(1, 12)):
            for statement in rng.choice(DRIFTS)(rng, rng.choice(TABLES)):
                attempt(connection, statement)
                applied.append(statement)
            run(connection, "RESET ROLE")
        script = repair(connection)
        assert live(connection) == WANTED, f"seed {seed}: {applied} then {script}"
        run(connection, "ROLLBACK TO repaired")
