"""The catalogue keeps a name through renames, and complains before a value is lost."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

from tests.fixtures.postgres import Database
from vaultdb.db import catalogue
from vaultdb.db.connect import new_engine
from vaultdb.errors import ConfigurationError
from vaultdb.settings import DatabaseSettings


class Named(UserDefinedType[bytes]):
    """A stand-in for `Encrypted`: the catalogue needs no more of it."""

    cache_ok = True

    def __init__(self, logical_name: str, type_tag: str = "str") -> None:
        self.logical_name = logical_name
        self.type_tag = type_tag

    def get_col_spec(self, **_: object) -> str:
        return "bytea"


@dataclass
class Clinic:
    """A database and the models of one moment in its life."""

    database: Database
    engine: sa.Engine

    def models(self, create: bool = True, /, **columns: Named) -> list[catalogue.Name]:
        metadata = sa.MetaData()
        fields = [sa.Column(name, kind) for name, kind in columns.items()]
        sa.Table("patient", metadata, sa.Column("id", sa.Integer, primary_key=True), *fields)
        if create:
            with self.engine.begin() as connection:
                metadata.drop_all(connection)
                metadata.create_all(connection)
        return catalogue.declared_names([metadata])

    def record(self, declared: list[catalogue.Name]) -> catalogue.Comparison:
        with self.engine.begin() as connection:
            return catalogue.record(connection, declared)

    def compare(self, declared: list[catalogue.Name]) -> catalogue.Comparison:
        with self.engine.connect() as connection:
            return catalogue.compare(connection, declared)


@pytest.fixture
def clinic(database: Database) -> Clinic:
    settings = DatabaseSettings.model_validate({"url": database.migrate_url})
    return Clinic(database, new_engine(settings))


def test_new_names_are_recorded_once(clinic: Clinic) -> None:
    declared = clinic.models(ssn=Named("patient.ssn"), note=Named("patient.note"))
    assert [name.name for name in clinic.record(declared).new] == ["patient.note", "patient.ssn"]
    assert clinic.record(declared).is_clean


def test_a_rename_that_keeps_the_name_is_recorded(clinic: Clinic) -> None:
    clinic.record(clinic.models(ssn=Named("patient.ssn")))
    renamed = clinic.models(social=Named("patient.ssn"))
    found = clinic.record(renamed)
    assert [(name.name, str(name.place)) for name in found.moved] == [
        ("patient.ssn", "patient.social")
    ]
    assert clinic.compare(renamed).is_clean


def test_a_rename_that_loses_the_name_shows_what_to_write(clinic: Clinic) -> None:
    clinic.record(clinic.models(ssn=Named("patient.ssn")))
    renamed = clinic.models(social=Named("patient.social"))
    with pytest.raises(ConfigurationError) as caught:
        clinic.record(renamed)
    assert 'patient.social is new: if it was renamed, declare logical_name="patient.ssn"' in str(
        caught.value
    )
    assert "vaultdb names retire patient.ssn" in str(caught.value)
    assert not clinic.compare(renamed).is_clean


def test_the_loss_shows_before_the_column_is_renamed_in_the_database(clinic: Clinic) -> None:
    clinic.record(clinic.models(ssn=Named("patient.ssn")))
    found = clinic.compare(clinic.models(False, social=Named("patient.social")))
    assert [name.name for name in found.orphans] == ["patient.ssn"]
    assert len(found.problems()) == 2


def test_a_dropped_column_is_retired_and_may_come_back(clinic: Clinic) -> None:
    old = clinic.models(ssn=Named("patient.ssn"), note=Named("patient.note"))
    clinic.record(old)
    new = clinic.models(ssn=Named("patient.ssn"), phone=Named("patient.phone"))
    with pytest.raises(ConfigurationError, match=r"names retire patient\.note"):
        clinic.record(new)
    with clinic.engine.begin() as connection:
        catalogue.retire(connection, "patient.note")
    assert [name.name for name in clinic.record(new).new] == ["patient.phone"]
    again = clinic.models(
        ssn=Named("patient.ssn"), phone=Named("patient.phone"), note=Named("patient.note")
    )
    assert [name.name for name in clinic.record(again).new] == ["patient.note"]


def test_two_columns_may_exchange_their_places(clinic: Clinic) -> None:
    clinic.record(clinic.models(a=Named("one"), b=Named("two")))
    found = clinic.record(clinic.models(a=Named("two"), b=Named("one")))
    assert len(found.moved) == 2


def test_names_of_another_application_are_left_alone(clinic: Clinic) -> None:
    with clinic.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE invoice (total bytea)")
    metadata = sa.MetaData()
    sa.Table("invoice", metadata, sa.Column("total", Named("invoice.total")))
    clinic.record(catalogue.declared_names([metadata]))
    assert [n.name for n in clinic.record(clinic.models(ssn=Named("patient.ssn"))).new] == [
        "patient.ssn"
    ]


def test_one_name_for_two_columns_is_refused(clinic: Clinic) -> None:
    with pytest.raises(
        ConfigurationError, match=r"one logical name, patient\.ssn, so their values"
    ):
        clinic.models(ssn=Named("patient.ssn"), copy=Named("patient.ssn"))


def test_another_type_under_the_same_name_is_refused(clinic: Clinic) -> None:
    clinic.record(clinic.models(born=Named("patient.born")))
    with pytest.raises(ConfigurationError, match="recorded with another type"):
        clinic.record(clinic.models(born=Named("patient.born", "date")))


def test_a_column_that_is_not_there_yet_is_not_recorded(clinic: Clinic) -> None:
    with pytest.raises(ConfigurationError, match="does not exist in the database: run your own"):
        clinic.record(clinic.models(False, ssn=Named("patient.ssn")))


def test_retiring_what_is_not_recorded_is_refused(clinic: Clinic) -> None:
    with (
        pytest.raises(ConfigurationError, match="no logical name nothing is recorded"),
        clinic.engine.begin() as connection,
    ):
        catalogue.retire(connection, "nothing")


def test_quoted_and_schema_qualified_tables_are_found(clinic: Clinic) -> None:
    metadata = sa.MetaData(schema="Ward 7")
    sa.Table('odd "name"', metadata, sa.Column("Mixed Case", Named("odd")))
    with clinic.engine.begin() as connection:
        connection.exec_driver_sql('CREATE SCHEMA "Ward 7"')
        metadata.create_all(connection)
    assert len(clinic.record(catalogue.declared_names([metadata])).new) == 1
