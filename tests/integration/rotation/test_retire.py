"""``vaultdb keys retire``: nothing that is needed loses its key."""

from __future__ import annotations

import pytest

from tests.integration.rotation.conftest import Clinic, Run
from tests.integration.rotation.test_rotate_rows import assert_everything_is_read, states


@pytest.fixture
def old_key(run: Run, clinic: Clinic) -> str:
    """The id of a key that has no row any more."""
    assert run("rotate", "--dek", "--yes").code == 0
    keys = run("keys", "list", "--json").json
    return str(next(k["key_id"] for k in keys if (k["tenant"], k["version"]) == ("acme", 1)))


def test_an_unneeded_key_is_disabled_and_after_the_grace_period_destroyed(
    run: Run, clinic: Clinic, old_key: str
) -> None:
    assert "disabled" in run("keys", "retire", "--plan").out
    first = run("keys", "retire", "--yes")
    assert (first.code, first.out.splitlines()[-1]) == (0, "retired 5 keys")
    again = run("keys", "retire", "--yes")
    assert f"{old_key} stays: it is disabled for another 168.0 hours" in again.out
    done = run("keys", "retire", "--grace", "0", "--yes", "--json").json
    assert {each["next"] for each in done} == {"destroyed"}
    assert {tuple(each) for each in states(run).values()} == {("destroyed", "active")}
    left = clinic.query("SELECT count(*) FROM vaultdb.data_key WHERE wrapped = ''")
    assert left == [(5,)]
    assert_everything_is_read(clinic)


def test_a_key_that_one_row_needs_stays_and_the_row_is_named(
    run: Run, clinic: Clinic, old_key: str
) -> None:
    clinic.query(
        "UPDATE bill SET amount = overlay(amount PLACING %s FROM 3) WHERE tenant = 'acme'",
        bytes.fromhex(old_key),
    )
    ran = run("keys", "retire", old_key, "--yes")
    assert ran.code == 1
    assert f"{old_key} stays: public.bill.amount has 1 value under it" in ran.out
    assert "decrypt_only" in states(run)["acme", "default", "data"]


def test_a_key_that_a_backup_needs_stays_until_the_backup_is_gone(
    run: Run, clinic: Clinic, old_key: str
) -> None:
    clinic.query(
        "INSERT INTO vaultdb.backup_manifest (name, taken_at, key_ids)"
        " VALUES ('sunday', now(), ARRAY[%s::bytea])",
        bytes.fromhex(old_key),
    )
    assert f"{old_key} stays: backup sunday needs it" in run("keys", "retire", "--plan").out
    clinic.query("UPDATE vaultdb.backup_manifest SET released_at = now()")
    assert run("keys", "retire", old_key, "--yes").code == 0


def test_an_active_key_and_a_blind_index_in_use_stay(run: Run, clinic: Clinic) -> None:
    for key in run("keys", "list", "--json").json:
        ran = run("keys", "retire", key["key_id"], "--yes")
        assert ran.code == 1
        assert "stays: it is the newest of its scope" in ran.out
        if key["purpose"] == "index":
            assert "public.patient.email_index has " in ran.out


def test_what_cannot_be_counted_keeps_every_key(run: Run, clinic: Clinic, old_key: str) -> None:
    clinic.query('CREATE TABLE "Old Copy" AS SELECT name FROM patient')
    ran = run("keys", "retire", old_key, "--yes")
    assert ran.code == 1
    assert "stays: public.Old Copy.name could not be counted: this login may not" in ran.out


def test_an_index_key_stays_when_its_blind_index_is_not_found(run: Run, clinic: Clinic) -> None:
    clinic.query("ALTER TABLE patient RENAME COLUMN email_index TO found_by_nobody")
    keys = run("keys", "list", "--json").json
    key = next(each["key_id"] for each in keys if each["purpose"] == "index")
    assert "patient.email_index could not be counted" in run("keys", "retire", key, "--yes").out


def test_a_transaction_that_is_still_open_is_waited_for(
    run: Run, clinic: Clinic, old_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaultdb.jobs.rotation.retire.PATIENCE", 0.5)
    with clinic.database.connect() as connection, connection.transaction():
        connection.execute("SELECT pg_current_xact_id()")
        ran = run("keys", "retire", old_key, "--yes")
    assert ran.failed_with("a transaction that began earlier is still running")


def test_an_id_that_is_none_is_refused(run: Run, clinic: Clinic) -> None:
    assert run("keys", "retire", "xyz").failed_with("write a key id as vaultdb keys list shows it")
    assert run("keys", "retire", "00" * 16).failed_with("there is no key 0000")
