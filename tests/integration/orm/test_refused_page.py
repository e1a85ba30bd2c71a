"""docs/explanation/what-is-refused.md: each statement in its tables does what the page says."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import select
from sqlalchemy.orm import aliased

import vaultdb
from tests.integration.orm.models import Patient
from vaultdb.errors import StatementRefused

PAGE = Path(__file__).parents[3] / "docs/explanation/what-is-refused.md"
KEY = uuid.UUID(int=1)
NAMES = {
    **vars(sqlalchemy),
    "Patient": Patient,
    "other": aliased(Patient),
    "key": KEY,
    "vaultdb": vaultdb,
}


def statements(title: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE)


@pytest.fixture(autouse=True)
def patients(session):
    session.add_all([Patient(id=KEY, name="Ada", ssn="1"), Patient(name="Bob", ssn="2")])
    session.flush()


@pytest.mark.parametrize("statement", statements("Refused"))
def test_what_the_page_calls_refused_is_refused(statement, session, sent):
    sent.clear()
    with pytest.raises(StatementRefused):
        session.execute(eval(statement, NAMES))
    assert sent == []


@pytest.mark.parametrize("statement", statements("Works"))
def test_what_the_page_says_works(statement, session):
    built = eval(statement, NAMES)
    result = session.execute(built)
    assert result.rowcount > 0 if built.is_dml else result.all() or "is_(None)" in statement


def test_the_message_on_the_page_is_the_real_one(session):
    with pytest.raises(StatementRefused) as caught:
        session.execute(select(Patient).order_by(Patient.name))
    assert f"```text\n{caught.value}\n```" in PAGE.read_text(encoding="utf-8")


def test_the_tables_are_not_empty():
    assert len(statements("Refused")) > 25
    assert len(statements("Works")) > 10
