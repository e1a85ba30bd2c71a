"""The pytest plugin, in pytest runs of somebody else's."""

from __future__ import annotations

import re

import pytest

from tests.documents import ROOT, blocks
from vaultdb.testing import assertions, memory

_IMPORTED = (assertions, memory)  # once and not in every run, which forgets its imports

pytest_plugins = ["pytester"]

WITHOUT = ("anyio", "asyncio", "cacheprovider", "hypothesispytest", "randomly", "timeout")
"""Plugins that warn without settings of their own, or meddle with the run around."""
OPTIONS = ("-W", "error", *(option for name in WITHOUT for option in ("-p", f"no:{name}")))

HOW_TO = ROOT / "docs" / "how-to" / "test-your-application.md"

MODEL = """
import uuid

import pytest
from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from vaultdb.orm import Equality, encrypted
from vaultdb.testing import assert_encrypted


class Base(DeclarativeBase): ...


class Patient(Base):
    __tablename__ = "patient"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str]
    ssn: Mapped[str | None] = encrypted(str, index=Equality(), nullable=True)


@pytest.fixture
def session(vaultdb_engine):
    Base.metadata.create_all(vaultdb_engine)
    with Session(vaultdb_engine) as session:
        yield session


@pytest.fixture
def patient(session):
    patient = Patient(name="Ada", ssn="999-12-3456")
    session.add(patient)
    session.flush()
    return patient
"""


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Run a test file in a pytest of its own, where a warning is an error."""

    def run(code: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(MODEL + code)
        return pytester.runpytest_inprocess(*OPTIONS, *arguments)

    return run


def test_an_encrypted_attribute_passes(run) -> None:
    run("def test(session, patient): assert_encrypted(session, patient, 'ssn')").assert_outcomes(
        passed=1
    )


@pytest.mark.parametrize(
    ("sabotage", "complaint"),
    [
        ("UPDATE patient SET ssn = CAST('999-12-3456' AS BLOB)", "something else than an envelope"),
        (
            "UPDATE patient SET ssn = CAST(substr(ssn, 1, 60) || x'00' || substr(ssn, 62) AS BLOB)",
            "does not decrypt",
        ),
        ("UPDATE patient SET ssn = NULL", "something else than an envelope"),
        ("UPDATE patient SET {index} = x'00'", "holds no blind index value"),
        ("UPDATE patient SET {index} = NULL", "holds no blind index value"),
        ("DELETE FROM patient", "has no row of this object"),
    ],
)
def test_whatever_is_not_an_intact_ciphertext_fails(run, sabotage: str, complaint: str) -> None:
    result = run(f"""
def test(session, patient):
    index, = set(Patient.__table__.columns.keys()) - {{"id", "name", "ssn"}}
    session.execute(text({sabotage!r}.format(index=index)))
    assert_encrypted(session, patient, "ssn")
""")

    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([f"E +AssertionError: .*{complaint}"])


def test_a_failure_shows_no_plaintext(run) -> None:
    result = run("""
def test(session, patient):
    session.execute(text("UPDATE patient SET ssn = x'f6'"))
    assert_encrypted(session, patient, "ssn")
""")

    result.assert_outcomes(failed=1)
    assert "999-12-3456" not in re.sub(r'.*Patient\(name="Ada".*', "", result.stdout.str())


def test_null_and_plain_columns_and_foreign_objects_are_told_apart(run) -> None:
    run("""
def test_null(session, patient):
    patient.ssn = None
    with pytest.raises(AssertionError, match=r"^patient.ssn is NULL, which is stored as it is$"):
        assert_encrypted(session, patient, "ssn")

@pytest.mark.parametrize("attribute", ["name", "id", "nonsense"])
def test_plain(session, patient, attribute):
    with pytest.raises(TypeError, match=f"^Patient.{attribute} is not an encrypted column$"):
        assert_encrypted(session, patient, attribute)

def test_foreign(session):
    with pytest.raises(TypeError, match="^str is not a mapped class$"):
        assert_encrypted(session, "Ada", "ssn")
""").assert_outcomes(passed=5)


def test_every_test_has_an_engine_of_its_own_and_the_same_keys(run) -> None:
    run("""
seen = []

@pytest.mark.parametrize("turn", [1, 2])
def test(session, patient, vaultdb_keyring, turn):
    assert session.query(Patient).count() == 1
    seen.append(vaultdb_keyring)
    assert seen[0] is seen[-1]
""").assert_outcomes(passed=2)


def test_an_async_engine_is_prepared_too(run) -> None:
    run("""
import asyncio
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

def test(vaultdb_install, tmp_path):
    async def main():
        engine = vaultdb_install(create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/test.db"))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            patient = Patient(name="Ada", ssn="999-12-3456")
            session.add(patient)
            await session.run_sync(assert_encrypted, patient, "ssn")
        await engine.dispose()

    asyncio.run(main())
""").assert_outcomes(passed=1)


def test_the_how_to_works_as_written(pytester: pytest.Pytester) -> None:
    code = [block.code for block in blocks(HOW_TO) if block.language == "python"]
    pytester.makepyfile("\n".join(block for block in code if "scratch" not in block))

    result = pytester.runpytest_inprocess(*OPTIONS, "-k", "not real_thing")

    result.assert_outcomes(passed=2, deselected=1)


def test_a_run_that_does_not_use_the_plugin_imports_nothing_heavy(
    pytester: pytest.Pytester,
) -> None:
    """What counts as heavy took more than 20 ms to import when this was written."""
    pytester.makepyfile("""
        import sys

        def test():
            heavy = {"sqlalchemy", "alembic", "psycopg", "hvac", "requests", "cryptography", "pydantic"}
            assert not heavy & set(sys.modules)
            assert {m for m in sys.modules if m.startswith("vaultdb")} == {
                "vaultdb", "vaultdb.testing", "vaultdb.testing.fixtures"
            }
    """)

    pytester.runpytest_subprocess(*OPTIONS).assert_outcomes(passed=1)


def test_the_plugin_names_only_what_exists() -> None:
    import vaultdb.testing

    assert all(getattr(vaultdb.testing, name) for name in vaultdb.testing.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        vaultdb.testing.nonsense  # noqa: B018


def test_the_how_to_lists_every_name() -> None:
    import vaultdb.testing

    listed = set(re.findall(r"^\| `(\w+)` \|", HOW_TO.read_text(), flags=re.MULTILINE))
    assert listed == set(vaultdb.testing.__all__)
