"""What is searched for is what the execution says, not what the statement was built with."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import bindparam, insert, lambda_stmt, select
from sqlalchemy.orm import with_loader_criteria

from tests.integration.orm.models import Patient
from vaultdb.errors import StatementRefused

P = Patient


@pytest.fixture(autouse=True)
def patients(session):
    session.execute(
        insert(P.__table__),
        [
            {"id": uuid.UUID(int=1), "name": "Ada", "ssn": "1"},
            {"id": uuid.UUID(int=2), "name": "Bob", "ssn": "2"},
            {"id": uuid.UUID(int=3), "name": "Cyd", "ssn": None},
        ],
    )


def names(session, condition, **parameters):
    return sorted(session.scalars(select(P.name).where(condition), parameters))


def test_a_parameter_with_a_default_takes_the_value_of_the_execution(session):
    assert names(session, P.ssn == bindparam("q1", "1")) == ["Ada"]
    assert names(session, P.ssn == bindparam("q1", "1"), q1="2") == ["Bob"]
    assert session.scalars(select(P.name).where(P.ssn == bindparam("q1", "1")).params(q1="2")).all()


def test_a_list_with_a_default_takes_the_value_of_the_execution(session):
    among = P.ssn.in_(bindparam("q2", ["1"], expanding=True))
    assert names(session, among) == ["Ada"]
    assert names(session, among, q2=["2", "1"]) == ["Ada", "Bob"]


def test_a_parameter_that_is_called_is_called_at_each_execution(session):
    wanted = ["1"]
    condition = P.ssn == bindparam("q3", callable_=lambda: wanted[0])
    assert names(session, condition) == ["Ada"]
    wanted[0] = "2"
    assert names(session, condition) == ["Bob"]


def test_a_parameter_that_is_null_finds_nothing_as_in_sql(session):
    for condition in (P.ssn == bindparam("q4"), P.ssn != bindparam("q4")):
        assert names(session, condition, q4=None) == []
    assert names(session, P.ssn.not_in(["1", None])) == []
    assert names(session, P.ssn.in_(["1", None])) == ["Ada"]


@pytest.mark.parametrize("build", [lambda_stmt, None], ids=["lambda_stmt", "loader criteria"])
def test_a_variable_of_a_lambda_is_refused(session, build):
    """Its value would be that of the first call."""
    number = "1"
    with pytest.raises(StatementRefused, match="lambda"):
        if build is None:
            criterion = with_loader_criteria(P, lambda cls: cls.ssn == number)
            session.execute(select(P).options(criterion))
        else:
            session.execute(build(lambda: select(P).where(P.ssn == number)))
