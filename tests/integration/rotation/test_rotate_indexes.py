"""``vaultdb rotate`` and index keys: nothing is missed, nothing comes in twice."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.integration.rotation.conftest import Clinic, Run
from tests.integration.rotation.test_rotate_rows import states
from tests.integration.rotation.test_usage import counted, rows
from vaultdb import Equality, encrypted

ROTATE = ("rotate", "--dek", "-m", "persons_of_a_test:Base")


def person(index: Equality) -> type:
    class Base(DeclarativeBase):
        metadata = MetaData()

    class Person(Base):
        __tablename__ = "Odd Person"
        id: Mapped[int] = mapped_column(primary_key=True)
        ssn: Mapped[str | None] = encrypted(str, index=index, nullable=True)

    return Person


@pytest.fixture
def use(clinic: Clinic, monkeypatch: pytest.MonkeyPatch):
    """Declare the person, make its table, and store three people, one without a number."""

    def use(index: Equality) -> type:
        model = person(index)
        module = ModuleType("persons_of_a_test")
        module.Base = model  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "persons_of_a_test", module)
        clinic.database.create_all(model.metadata)
        clinic.query('GRANT SELECT, UPDATE ON "Odd Person" TO vaultdb_rotator')
        with clinic.session("acme") as session:
            session.add_all([model(id=n, ssn=f"s{n}" if n else None) for n in range(3)])
            session.commit()
        return model

    return use


def test_the_key_of_a_unique_index_stays_until_there_is_a_second_column(
    run: Run, clinic: Clinic, use
) -> None:
    use(Equality(unique=True))
    plan = run(*ROTATE, "--plan")
    assert "index keys of keyset default stay: Odd Person.ssn is unique" in plan.out
    assert 'rekey_into="ssn_index_2"' in plan.out
    assert run(*ROTATE, "--tenant", "acme", "--yes").code == 0
    assert states(run)["acme", "default", "index"] == ["active"]
    assert states(run)["acme", "default", "data"] == ["active", "active"]  # patients need the first


def test_a_unique_index_is_exchanged_through_its_second_column(
    run: Run, clinic: Clinic, use
) -> None:
    model = use(Equality(unique=True, rekey_into="ssn_index_2"))
    ran = run(*ROTATE, "--tenant", "acme", "--yes")
    assert "promoted 1 index key" in ran.out, ran.out + ran.err
    found = counted(run, "-m", "persons_of_a_test:Base")
    assert rows(found["Odd Person.ssn_index_2"]) == {("acme", 2): 2}
    with clinic.session("acme") as session:
        assert session.scalars(select(model.id).where(model.ssn == "s2")).all() == [2]
        session.add(model(id=9, ssn="s1"))
        with pytest.raises(IntegrityError):
            session.commit()


def test_an_incomplete_second_column_is_not_promoted(run: Run, clinic: Clinic, use) -> None:
    use(Equality(unique=True, rekey_into="ssn_index_2"))
    clinic.query("UPDATE vaultdb.data_key SET created_at = now() - interval '1 day'")
    settings = clinic.settings_file.read_text()
    clinic.settings_file.write_text(settings.replace("hard_ttl = 0.2", "hard_ttl = 600"))
    assert run(*ROTATE, "--tenant", "acme", "--yes", "--no-wait").code == 0
    promote = ("keys", "promote", "--tenant", "acme", "-m", "persons_of_a_test:Base")
    assert run(*promote).failed_with("a process may not know the incoming index key for another ")
    clinic.settings_file.write_text(settings)
    clinic.query('UPDATE "Odd Person" SET ssn_index_2 = NULL WHERE id = 1')
    assert run(*promote).failed_with("ssn_index_2 lacks the incoming key's value in 1 rows")
    clinic.query('ALTER TABLE "Odd Person" DROP COLUMN ssn_index_2')
    clinic.query('ALTER TABLE "Odd Person" ADD ssn_index_2 bytea')
    clinic.query('GRANT UPDATE (ssn_index_2) ON "Odd Person" TO vaultdb_rotator')
    ran = run(*ROTATE, "--tenant", "acme", "--yes")
    assert ran.code == 1
    assert "left: index keys: Odd Person.ssn_index_2 has no unique index yet" in ran.out


def test_columns_that_are_joined_keep_their_index_key(run: Run, clinic: Clinic, use) -> None:
    class Base(DeclarativeBase):
        metadata = MetaData()

    class One(Base):
        __tablename__ = "one"
        id: Mapped[int] = mapped_column(primary_key=True)
        a: Mapped[str] = encrypted(str, index=Equality(domain="d"))
        b: Mapped[str] = encrypted(str, index=Equality(domain="d"))

    use(Equality())
    clinic.database.create_all(Base.metadata)
    sys.modules["persons_of_a_test"].Base = Base  # type: ignore[attr-defined]
    plan = run(*ROTATE, "--plan").out
    assert "columns are joined by the index domain 'd'" in plan
