"""``vaultdb keys usage``: rows per key and column, counted by SQL."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.integration.rotation.conftest import Clinic, Run


def counted(run: Run, *arguments: str) -> dict[str, dict[str, Any]]:
    """Return the columns by name."""
    columns = run("keys", "usage", "--json", *arguments).json
    return {f"{each['table']}.{each['column']}": each for each in columns}


def rows(column: dict[str, Any]) -> dict[tuple[str, int], int]:
    return {(key["tenant"], key["version"]): key["rows"] for key in column["keys"]}


def test_rows_are_counted_per_key_and_column_and_nulls_apart(run: Run, clinic: Clinic) -> None:
    found = counted(run)
    assert rows(found["patient.name"]) == {("acme", 1): 7, ("beta", 1): 3}
    assert rows(found["patient.email"]) == {("acme", 1): 6, ("beta", 1): 2}
    assert rows(found["patient.email_index"]) == {("acme", 1): 6, ("beta", 1): 2}
    assert (found["patient.email"]["nulls"], found["patient.name"]["nulls"]) == (2, 0)
    assert found["patient.email_index"]["purpose"] == "index"


def test_partitions_and_tables_that_hide_rows_are_counted_whole(run: Run, clinic: Clinic) -> None:
    found = counted(run)
    assert rows(found["Odd Note.The %s text"]) == {("", 1): 2}
    assert found["Odd Note.The %s text"]["nulls"] == 1
    assert rows(found["bill.amount"]) == {("acme", 1): 1, ("beta", 1): 1}
    assert not [name for name in found if name.startswith("note_")]


def test_a_new_version_has_no_rows_until_somebody_writes(run: Run, clinic: Clinic) -> None:
    assert run("keys", "create", "--tenant", "acme", "--new-version").code == 0
    with clinic.session("acme") as session:
        from tests.integration.rotation.models import Patient

        session.add(Patient(name="new"))
        session.commit()
    assert rows(counted(run)["patient.name"])["acme", 2] == 1
    ran = run("keys", "usage")
    assert ran.code == 0, ran.err
    assert "acme    default  data     2        active" in ran.out
    assert "public.patient.email: 3 rows without a value" in ran.out


def test_a_column_that_no_model_declares_is_counted_and_named(run: Run, clinic: Clinic) -> None:
    clinic.query('CREATE TABLE "Old Copy" AS SELECT name AS "%name" FROM patient')
    clinic.query('GRANT SELECT ON "Old Copy" TO vaultdb_rotator')
    found = counted(run)["Old Copy.%name"]
    assert (found["declared"], rows(found)) == (False, {("acme", 1): 7, ("beta", 1): 3})
    assert "public.Old Copy.%name: no model declares it" in run("keys", "usage").out


def test_a_column_that_may_not_be_read_is_named_and_fails(run: Run, clinic: Clinic) -> None:
    clinic.query("REVOKE SELECT ON patient FROM vaultdb_rotator")
    clinic.query("GRANT SELECT (name) ON patient TO vaultdb_rotator")
    ran = run("keys", "usage")
    assert ran.code == 1
    assert "not counted: public.patient.email: this login may not read it" in ran.out
    assert counted(run)["patient.name"]["problem"] is None


def test_rows_that_are_hidden_are_no_missing_rows(run: Run, clinic: Clinic) -> None:
    clinic.query("DROP POLICY vaultdb_rotator_reads ON bill")
    ran = run("keys", "usage")
    assert ran.code == 1
    assert "not counted: public.bill.amount: row-level security hides rows" in ran.out


@pytest.mark.parametrize("column", ["name", "email_index"])
def test_a_key_that_the_key_table_does_not_have_is_an_error(
    run: Run, clinic: Clinic, column: str
) -> None:
    odd = uuid.uuid4().bytes
    clinic.query(f"UPDATE patient SET {column} = overlay({column} PLACING %s FROM 3)", odd[:8])
    ran = run("keys", "usage")
    assert ran.code == 1
    assert f"error: public.patient.{column}: " in ran.out
    assert odd[:8].hex() in ran.out
    assert run("keys", "usage", "--json").code == 1


def test_a_column_that_the_database_does_not_have_is_named(run: Run, clinic: Clinic) -> None:
    clinic.query("ALTER TABLE patient DROP COLUMN email_index")
    assert "patient.email_index: the database does not have it" in run("keys", "usage").out
