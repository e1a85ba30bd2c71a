"""Declarations of access that cannot be meant are refused at once, with what can."""

from __future__ import annotations

import pytest
from sqlalchemy import CHAR, Boolean, Column, Enum, MetaData, Numeric, Table, Text, Uuid, select

from tests.unit.roles.conftest import NAMES
from vaultdb import ConfigurationError, Grant
from vaultdb.roles.access import access
from vaultdb.roles.statements import statements
from vaultdb.roles.wanted import wanted_facts


@pytest.mark.parametrize(
    "arguments",
    [
        {"ro": ["id", "snn"]},
        {"rw": Grant(update=["snn"])},
        {"others": {"reports": Grant(select=["snn"])}},
        {"tenant": "snn"},
        {"principal": "snn"},
    ],
)
def test_an_unknown_column_is_refused_with_the_one_that_is_meant(patient, arguments):
    with pytest.raises(ConfigurationError, match="'snn', which is no column of patient: did you"):
        access(patient, **arguments)


def test_an_unknown_column_without_a_likeness_is_refused_with_those_that_there_are(patient):
    with pytest.raises(ConfigurationError, match="it has id, tenant_id, created_at, ssn"):
        access(patient, ro=["zzz"])


def test_a_string_is_not_taken_for_a_collection_of_columns(patient):
    with pytest.raises(ConfigurationError, match=r"ro= takes a collection .* \['id'\]"):
        access(patient, ro="id")
    with pytest.raises(ConfigurationError, match=r"Grant\(select=\) takes a collection"):
        Grant(select="id")  # type: ignore[arg-type]


def test_deleting_has_no_columns():
    with pytest.raises(ConfigurationError, match=r"Grant\(delete=\) is True or False"):
        Grant(delete=["id"])  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["truncate", "references", "all", "selct", "grant option"])
def test_an_unknown_privilege_is_refused_with_those_that_there_are(table, word):
    with pytest.raises(ConfigurationError, match="choose from select, insert, update, delete"):
        access(table, rw=[word])


@pytest.mark.parametrize("role", ["", "a\0b", "ü" * 32])
def test_a_role_that_cannot_exist_is_refused(table, role):
    with pytest.raises(ConfigurationError, match="a role's name has 1 to 63 bytes"):
        access(table, others={role: Grant(select=True)})


@pytest.mark.parametrize("role", ["public", "PUBLIC", "none", "pg_read_all_data"])
def test_everybody_and_the_roles_of_postgresql_are_refused(table, role):
    with pytest.raises(ConfigurationError, match="name a role that you made"):
        access(table, others={role: Grant(select=True)})


def test_a_role_that_needs_quoting_is_quoted(table):
    access(table, others={'Réports "x"': Grant(select=True)})
    facts = [fact for fact in wanted_facts(table.metadata, NAMES) if "x" in fact.who]
    assert [fact.who for fact in facts] == ['"Réports ""x"""']
    assert statements(facts, ()) == ['GRANT SELECT ON TABLE "public"."t" TO "Réports ""x"""']


def test_one_of_our_own_roles_is_no_other_role(table):
    access(table, others={"v_rw": Grant(select=True)})
    with pytest.raises(ConfigurationError, match=r"'v_rw', .*vaultdb's own roles; use rw="):
        wanted_facts(table.metadata, NAMES)


def test_a_word_is_no_grant(table):
    with pytest.raises(ConfigurationError, match=r"others\['reports'\] must be a vaultdb.Grant"):
        access(table, others={"reports": "select"})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "type_", [CHAR(3), Boolean(), Numeric(), Enum("a", name="e"), Uuid(native_uuid=False)]
)
def test_a_tenant_of_a_type_that_no_claim_can_be_compared_with_is_refused(type_):
    table = Table("t", MetaData(), Column("tenant", type_))
    with pytest.raises(ConfigurationError, match="text, varchar, uuid, smallint, integer and"):
        access(table, tenant="tenant")


def test_an_encrypted_tenant_is_refused(patient):
    with pytest.raises(ConfigurationError, match="claim can be compared"):
        access(patient, tenant="ssn")


def test_contradictions_about_rows_are_refused(table):
    with pytest.raises(ConfigurationError, match="one column as tenant= and as principal="):
        access(table, tenant="a", principal="a")
    with pytest.raises(ConfigurationError, match="leave out one of them"):
        access(table, tenant="a", own_policies=True)
    view = Table("v", MetaData(), Column("a", Text), info={"is_view": True})
    with pytest.raises(ConfigurationError, match="is a view"):
        access(view, tenant="a")


class Mixin: ...


@pytest.mark.parametrize("target", [Mixin, Mixin(), "patient", None])
def test_what_has_no_table_is_refused(target):
    with pytest.raises(ConfigurationError, match="needs a mapped class or a Table"):
        access(target)


def test_a_class_that_is_mapped_to_a_query_is_refused(base, patient):
    class Recent(base):
        __table__ = select(patient.__table__).subquery()

    with pytest.raises(ConfigurationError, match="declare access for the tables"):
        access(Recent)
