"""Declarations of access: what they default to, where they are kept, and what they amount to."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Sequence,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

import vaultdb
from tests.unit.roles.conftest import NAMES
from vaultdb import ConfigurationError, Encrypted, Equality, Grant
from vaultdb.orm import claims
from vaultdb.roles.access import access
from vaultdb.roles.declared import declared, undeclared
from vaultdb.roles.fact import Fact
from vaultdb.roles.sequences import implicit_name, used_sequences
from vaultdb.roles.statements import statements
from vaultdb.roles.wanted import about_declared, grants_of, wanted_facts


def _granted(declared) -> dict[str, Grant]:
    return grants_of(declared, NAMES)


# -- defaults ------------------------------------------------------------------------------------


def test_by_default_reports_see_what_is_not_encrypted_and_the_rotator_what_is(patient):
    granted = _granted(access(patient))
    assert granted["v_rw"] == Grant(select=True, insert=True, update=True, delete=True)
    assert granted["v_ro"] == Grant(select=["id", "tenant_id", "created_at"])
    changed = ("ssn", "ssn_index", "notes")
    assert granted["v_rotator"].update == changed
    assert set(granted["v_rotator"].select) == {"id", "tenant_id", *changed}
    assert not granted["v_rotator"].insert
    assert not granted["v_rotator"].delete


@pytest.mark.parametrize("mode", ["allow", "forbid"])
def test_the_rotator_may_encrypt_and_empty_what_a_column_adopts_as_long_as_it_does(mode):
    metadata = MetaData()
    key = Column("id", Integer, primary_key=True)
    secret = Column("secret", Encrypted(str, adopts="old name", plaintext=mode))
    during = _granted(access(Table("t", metadata, key, Column("old name", Text), secret)))
    assert during["v_rotator"].update == ("old name", "secret")
    assert set(during["v_rotator"].select) == {"id", "old name", "secret"}
    secret = Column("secret", Encrypted(str, adopts="old name"))
    key = Column("id", Integer, primary_key=True)
    after = _granted(access(Table("t", MetaData(), key, secret)))
    assert after["v_rotator"].update == ("secret",)


def test_the_rotator_reads_whose_row_it_is_and_fills_both_columns_of_an_index():
    column = Column("ssn", Encrypted(str, subject="owner", index=Equality(rekey_into="next")))
    columns = [Column("id", Integer, primary_key=True), Column("of whom", Text, key="owner")]
    granted = _granted(access(Table("t", MetaData(), *columns, column)))
    changed = ("ssn", "ssn_index", "next")
    assert granted["v_rotator"].update == changed
    assert set(granted["v_rotator"].select) == {"id", "of whom", *changed}
    assert set(granted["v_ro"].select) == {"id", "of whom"}


def test_a_table_without_encrypted_columns_is_open_to_reports_and_closed_to_the_rotator(table):
    granted = _granted(access(table))
    assert granted["v_ro"] == Grant(select=True)
    assert "v_rotator" not in granted


def test_reports_see_an_encrypted_column_when_it_is_said_aloud(patient):
    assert _granted(access(patient, ro=["id", "ssn"]))["v_ro"] == Grant(select=["id", "ssn"])


def test_a_closed_table_grants_nothing(patient):
    granted = _granted(access(patient, rw=(), ro=(), rotator=False))
    assert granted == {}


@pytest.mark.parametrize("words", ["select insert", "SELECT, INSERT", ["insert", "Select"]])
def test_privileges_are_words_in_any_form(table, words):
    assert access(table, rw=words).rw == Grant(select=True, insert=True)


def test_columns_are_named_by_attribute_key_or_name(base, patient):
    declared = access(patient, ro=["created", "created_at", "id"], tenant="tenant_id")
    assert declared.ro == ("created_at", "id")
    assert declared.tenant == "tenant_id"


def test_a_view_is_read_only_and_has_no_facts_about_rows():
    view = Table("v", MetaData(), Column("id", Integer), info={"is_view": True})
    access(view)
    facts = wanted_facts(view.metadata, NAMES)
    assert {(fact.who, fact.value) for fact in facts} == {("v_rw", "SELECT"), ("v_ro", "SELECT")}


def test_columns_that_come_after_the_declaration_are_part_of_the_defaults(table):
    declared = access(table)
    table.append_column(Column("secret", Encrypted(str)))
    assert _granted(declared)["v_ro"] == Grant(select=["id", "a", "b"])


# -- where declarations are kept -----------------------------------------------------------------


def test_a_declaration_is_kept_with_the_metadata_and_not_with_the_table(patient, base):
    made = access(patient)
    assert declared(base.metadata) == {"patient": made}
    assert "vaultdb.access" not in patient.__table__.info
    assert undeclared(base.metadata) == []


def test_declaring_the_same_twice_changes_nothing(patient, base):
    first = access(patient, ro=["id"])
    assert access(patient.__table__, ro=["id"]) == first
    assert len(declared(base.metadata)) == 1


def test_declaring_something_else_for_the_same_table_is_refused(patient):
    access(patient, ro=["id"])
    with pytest.raises(ConfigurationError, match="patient is declared twice, with different ro"):
        access(patient, ro=[])


def test_classes_of_one_table_share_one_declaration(base):
    class Person(base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str]
        __mapper_args__ = {"polymorphic_on": "kind"}

    class Nurse(Person):
        __mapper_args__ = {"polymorphic_identity": "nurse"}

    access(Person, ro=["id"])
    with pytest.raises(ConfigurationError, match="share a table"):
        access(Nurse)


def test_a_class_with_a_table_of_its_own_needs_a_declaration_of_its_own(base, patient):
    class Inpatient(patient):
        __tablename__ = "inpatient"
        id: Mapped[int] = mapped_column(ForeignKey("patient.id"), primary_key=True)
        ward: Mapped[str]

    access(patient)
    assert undeclared(base.metadata) == [Inpatient.__table__]
    assert access(Inpatient, ro=["ward"]).table is Inpatient.__table__


def test_a_copy_in_other_metadata_has_no_declaration_until_it_gets_one(patient):
    access(patient)
    other = MetaData()
    copy = patient.__table__.to_metadata(other, schema="branch")
    assert undeclared(other) == [copy]
    access(copy, ro=["id"])
    assert {fact.object for fact in wanted_facts(other, NAMES) if fact.who == "v_ro"} == {
        "branch.patient.id"
    }


def test_a_table_that_takes_the_place_of_another_does_not_inherit_its_declaration(table):
    access(table)
    table.metadata.remove(table)
    fresh = Table("t", table.metadata, Column("id", Integer, primary_key=True))
    assert undeclared(table.metadata) == [fresh]
    access(fresh, ro=())


def test_a_mixin_can_give_its_tenant_column_to_each_class(base):
    class Tenanted:
        tenant_id: Mapped[int]

        @declared_attr.directive
        def __tablename__(cls) -> str:
            return cls.__name__.lower()

    for name in ("A", "B"):
        annotations = {"id": Mapped[int]}
        class_ = type(
            name,
            (Tenanted, base),
            {"__annotations__": annotations, "id": mapped_column(primary_key=True)},
        )
        access(class_, tenant="tenant_id")
    assert [made.tenant for made in declared(base.metadata).values()] == ["tenant_id"] * 2


# -- claims --------------------------------------------------------------------------------------


def test_claims_are_sent_from_the_first_table_on_that_needs_them(table):
    access(table)
    assert not claims._guarded
    other = table.to_metadata(MetaData())
    access(other, tenant="a")
    assert other in claims._guarded


# -- facts ---------------------------------------------------------------------------------------


def test_policies_compare_a_claim_once_for_each_statement(table):
    access(table, tenant="a", principal="b")
    rows, floor = sorted(
        (f for f in wanted_facts(table.metadata, NAMES) if f.fact == "policy"),
        key=lambda fact: fact.extra,
    )
    assert rows.value == floor.value
    assert rows.value == (
        "((a = ( SELECT NULLIF(current_setting('vaultdb.tenant'::text, true), ''::text)"
        ' AS "nullif"))'
        " AND (b = ( SELECT NULLIF(current_setting('vaultdb.principal'::text, true), ''::text)"
        ' AS "nullif")))'
    )
    assert rows.extra == f"PERMISSIVE|{rows.value}"
    assert floor.extra == f"RESTRICTIVE|{rows.value}"
    assert rows.who == floor.who == "v_ro,v_rw"


def test_drift_of_declared_tables_is_about_nothing_else(table):
    access(table)
    own = Fact("grant", "column", "public.t.a", "x", "UPDATE")
    foreign = [
        Fact("grant", "table", "other.t", "x", "SELECT"),
        Fact("grant", "schema", "public", "x", "USAGE"),
        Fact("owner", "table", "public.t", "x"),
        Fact("grant", "sequence", "public.t", "x", "USAGE"),
    ]
    sequence = Fact("grant", "sequence", "public.t_id_seq", "x", "USAGE")
    assert about_declared([own, sequence, *foreign], table.metadata) == {own, sequence}


def test_privileges_are_revoked_on_tables_before_they_are_granted_on_columns():
    wide = Fact("grant", "table", "public.t", "r", "SELECT")
    narrow = Fact("grant", "column", "public.t.a", "r", "SELECT")
    kept = Fact("grant", "column", "public.t.b", "r", "SELECT")
    assert statements([narrow], [wide], wanted=[narrow, kept]) == [
        'REVOKE SELECT ON TABLE "public"."t" FROM "r"',
        'GRANT SELECT ("a", "b") ON TABLE "public"."t" TO "r"',
    ]


def test_a_grant_option_is_taken_back_without_the_privilege():
    with_option = Fact("grant", "table", "public.t", "r", "SELECT", "GRANT OPTION")
    plain = Fact("grant", "table", "public.t", "r", "SELECT")
    assert statements([plain], [with_option]) == [
        'REVOKE GRANT OPTION FOR SELECT ON TABLE "public"."t" FROM "r" CASCADE',
        'GRANT SELECT ON TABLE "public"."t" TO "r"',
    ]


def test_a_table_is_never_open_while_policies_are_made():
    facts = [
        Fact("grant", "table", "public.t", "r", "SELECT"),
        Fact("policy", "ALL", "public.t.p", "r", "true", "PERMISSIVE|"),
        Fact("policy", "ALL", "public.t.q", "r", "true", "RESTRICTIVE|true"),
        Fact("rls", "table", "public.t", "", "enabled", "forced"),
    ]
    restrictive = 'CREATE POLICY "q" ON "public"."t" AS RESTRICTIVE FOR ALL TO "r" USING (true)'
    assert statements(facts, ()) == [
        'ALTER TABLE "public"."t" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
        f"{restrictive} WITH CHECK (true)",
        'CREATE POLICY "p" ON "public"."t" AS PERMISSIVE FOR ALL TO "r" USING (true)',
        'GRANT SELECT ON TABLE "public"."t" TO "r"',
    ]


def test_a_fact_that_is_no_word_of_sql_makes_no_statement():
    with pytest.raises(ValueError, match="not a word of SQL"):
        statements([Fact("grant", "table", "public.t", "r", "SELECT; DROP TABLE t")], ())


def test_everybody_and_a_role_of_that_name_are_told_apart():
    facts = [Fact("grant", "table", "public.t", who, "SELECT") for who in ("PUBLIC", '"PUBLIC"')]
    assert statements((), facts) == [
        'REVOKE SELECT ON TABLE "public"."t" FROM "PUBLIC"',
        'REVOKE SELECT ON TABLE "public"."t" FROM PUBLIC',
    ]


# -- sequences -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "column", "name"),
    [
        ("t", "id", "t_id_seq"),
        ("t" * 63, "id", "t" * 56 + "_id_seq"),
        ("t" * 63, "c" * 63, "t" * 29 + "_" + "c" * 29 + "_seq"),
        ("ü" * 31, "id", "ü" * 28 + "_id_seq"),
    ],
)
def test_sequences_are_named_as_postgresql_names_them(table, column, name):
    """The names were read from pg_get_serial_sequence() of PostgreSQL 15."""
    assert implicit_name(table, column) == name


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (Column("id", Integer, primary_key=True), {("public", "t_id_seq")}),
        (Column("id", BigInteger, Identity(), primary_key=True), set()),
        (Column("id", Uuid, primary_key=True), set()),
        (Column("id", Integer, primary_key=True, autoincrement=False), set()),
        (Column("id", Integer, Sequence("s", schema="x"), primary_key=True), {("x", "s")}),
        (
            Column("id", Integer, server_default=Sequence("s").next_value(), primary_key=True),
            {("public", "s")},
        ),
        (
            Column("id", Integer, Sequence("s", optional=True), primary_key=True),
            {("public", "t_id_seq")},
        ),
    ],
)
def test_the_sequences_that_an_insert_uses(column, expected):
    assert used_sequences(Table("t", MetaData(), column), "public") == expected


def test_an_identity_key_is_asked_for_beforehand_where_values_are_bound_to_it():
    key = Column("id", BigInteger, Identity(), primary_key=True)
    table = Table("t", MetaData(), key, Column("a", Encrypted(str)))
    assert used_sequences(table, "public") == {("public", "t_id_seq")}


def test_the_names_are_public():
    assert vaultdb.access is access
    assert vaultdb.Grant is Grant
