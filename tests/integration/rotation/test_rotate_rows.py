"""``vaultdb rotate`` to the last row: new data keys, re-encryption, and what is left."""

from __future__ import annotations

from sqlalchemy import select

from tests.integration.rotation.conftest import PATIENTS, Clinic, Run
from tests.integration.rotation.models import Bill, Note, Patient
from tests.integration.rotation.test_usage import counted, rows


def states(run: Run) -> dict[tuple[str, str, str], list[str]]:
    """Return the states of the versions of each scope, oldest first."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for key in run("keys", "list", "--json").json:
        scope = (key["tenant"], key["keyset"], key["purpose"])
        found.setdefault(scope, []).append(key["state"])
    return found


def assert_everything_is_read(clinic: Clinic) -> None:
    for tenant in PATIENTS:
        with clinic.session(tenant) as session:
            found = session.scalars(
                select(Patient).where(Patient.email == f"{tenant}1@example.org")
            )
            assert [patient.name for patient in found] == [f"{tenant} 1"]
            assert session.scalars(select(Bill.amount)).all() == ["12.50"]
    with clinic.session("") as session:
        texts = session.scalars(select(Note.text).order_by(Note.select)).all()
    assert texts == [None, "note 1", "note 200"]


def test_a_rotation_brings_every_row_under_new_keys(run: Run, clinic: Clinic) -> None:
    plan = run("rotate", "--plan")
    assert plan.code == 0, plan.err
    assert "rotate the KEK, from version 1 to 2" in plan.out
    assert "make a new version of 5 data keys" in plan.out
    assert "re-encrypt 14 rows" in plan.out
    ran = run("rotate", "--yes")
    assert ran.code == 0, ran.err + ran.out
    assert "left" not in ran.out
    found = counted(run)
    assert rows(found["patient.name"]) == {("acme", 2): 7, ("beta", 2): 3}
    assert rows(found["patient.email_index"]) == {("acme", 2): 6, ("beta", 2): 2}
    assert rows(found["Odd Note.The %s text"]) == {("", 2): 2}
    assert {tuple(each) for each in states(run).values()} == {("decrypt_only", "active")}
    assert_everything_is_read(clinic)


def test_only_the_keys_and_columns_that_are_named_are_rotated(run: Run, clinic: Clinic) -> None:
    ran = run("rotate", "--dek", "--tenant", "acme", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert "kek_version" not in ran.json
    found = counted(run)
    assert rows(found["patient.name"]) == {("acme", 2): 7, ("beta", 1): 3}
    assert rows(found["bill.amount"]) == {("acme", 2): 1, ("beta", 1): 1}
    assert run("rotate", "--dek", "--keyset", "notes", "--yes").code == 0
    assert rows(counted(run)["Odd Note.The %s text"]) == {("", 2): 2}
    ran = run("rotate", "--dek", "--column", "patient.name", "--tenant", "beta", "--yes")
    assert "left: 3 values under 1 older key" in ran.out
    found = counted(run)
    assert rows(found["patient.name"]) == {("acme", 2): 7, ("beta", 2): 3}
    assert rows(found["patient.email"]) == {("acme", 2): 6, ("beta", 1): 2}


def test_an_unfinished_rotation_is_finished_without_another_version(
    run: Run, clinic: Clinic
) -> None:
    assert run("keys", "create", "--tenant", "acme", "--new-version", "--purpose", "data").code == 0
    plan = run("rotate", "--dek", "--tenant", "acme", "--plan").out
    assert "finish the rotation of 1 data key without another version" in plan
    made = run("rotate", "--dek", "--tenant", "acme", "--yes", "--json").json["rows"]["made"]
    assert len(made) == 1  # the index key, whose rotation had not begun
    assert rows(counted(run)["patient.name"])["acme", 2] == 7
    assert states(run)["acme", "default", "data"] == ["decrypt_only", "active"]


def test_without_waiting_it_says_what_is_left_and_the_next_run_ends_it(
    run: Run, clinic: Clinic
) -> None:
    settings = clinic.settings_file.read_text()
    clinic.settings_file.write_text(settings.replace("hard_ttl = 0.2", "hard_ttl = 600"))
    ran = run("rotate", "--dek", "--yes", "--no-wait")
    assert "left: 3 older keys may be written with for another " in ran.out
    assert rows(counted(run)["patient.name"]) == {("acme", 2): 7, ("beta", 2): 3}
    assert states(run)["acme", "default", "index"] == ["active", "incoming"]
    clinic.settings_file.write_text(settings)
    ran = run("rotate", "--dek", "--yes")
    assert "make a new version of 0 data keys" in ran.out
    assert "promoted 2 index keys" in ran.out
    assert {tuple(each) for each in states(run).values()} == {("decrypt_only", "active")}
    assert_everything_is_read(clinic)


def test_a_value_that_does_not_decrypt_is_left_and_named(run: Run, clinic: Clinic) -> None:
    clinic.query("UPDATE bill SET amount = set_byte(amount, 70, get_byte(amount, 70) # 1)")
    ran = run("rotate", "--dek", "--yes")
    assert ran.code == 1
    assert "left: bill: 2 rows (2 quarantined, job " in ran.out
    assert "left: 2 values under 2 older keys" in ran.out
    assert "make a new version of 0 data keys" in run("rotate", "--dek", "--plan").out


def test_the_plan_names_triggers_and_columns_that_it_cannot_see(run: Run, clinic: Clinic) -> None:
    clinic.query(
        "CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    )
    clinic.query(
        "CREATE TRIGGER touch BEFORE UPDATE ON patient FOR EACH ROW EXECUTE FUNCTION touched()"
    )
    clinic.query('CREATE TABLE "Old Copy" AS SELECT name FROM patient')
    plan = run("rotate", "--plan")
    assert "trigger touch of patient will fire for every row and may change it" in plan.out
    assert "not counted: public.Old Copy.name: this login may not read it" in plan.out


def test_models_are_needed_for_rows_and_not_for_the_kek(run: Run, clinic: Clinic) -> None:
    settings = clinic.settings_file.read_text()
    clinic.settings_file.write_text(settings.replace("models = ", "# models = "))
    ran = run("rotate", "--yes")
    assert ran.code == 0
    assert "left: data keys and rows; say where your models are" in ran.out
    assert run("rotate", "--dek", "--yes").failed_with("say where your models are")
    assert run("rotate", "--dek", "--kek").failed_with("--dek does not go with --kek")
