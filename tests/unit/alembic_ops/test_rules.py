"""Each rule finds what it is for, however it is written, and is silent about what is good."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from tests.unit.alembic_ops.revisions import FIRST_LINE, PATIENT, look_at, write
from vaultdb import Encrypted
from vaultdb.alembic.lints import REMEDIES, check
from vaultdb.db.role_names import RoleNames
from vaultdb.roles.access import access

EXPAND = 'op.expand_encrypted_column("patient", "city", vaultdb.orm.Envelope())\n'
COVER = 'op.execute("alter table patient add constraint c check (city is null or city_encrypted is not null)")\n'

BAD: list[tuple[str, str]] = [
    ("grant-to-public", 'op.grant(["SELECT"], "patient", "PUBLIC")'),
    ("grant-to-public", 'op.execute("grant select on patient to someone, public")'),
    ("grant-to-public", 'op.execute("GRANT /* ; */ USAGE ON SCHEMA x TO -- who\\n PUBLIC WITH GRANT OPTION")'),
    ("grant-to-public", 'op.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO PUBLIC")'),
    ("grant-to-public", 'op.execute(sa.text("select 1; grant\\n\\nselect on patient\\tto\\npublic"))'),
    ("grant-to-public", 'table = "patient"\nop.execute(f"grant select on {table} to public")'),
    ("grant-to-public", 'op.execute("DO $x$ BEGIN IF true THEN GRANT SELECT ON patient TO PUBLIC; END IF; END $x$")'),
    ("grant-to-public", "op.execute(\"DO $x$ BEGIN EXECUTE 'GRANT SELECT ON patient TO PUBLIC'; END $x$\")"),
    ("grant-to-public", 'op.get_bind().execute(sa.text("GRANT SELECT ON patient TO PUBLIC"))'),
    ("grant-to-public", 'op.get_bind().exec_driver_sql("GRANT SELECT ON patient TO PUBLIC")'),
    ("rls-disabled", 'op.disable_rls("patient")'),
    ("rls-disabled", 'op.execute(\'alter table only "patient" add x int, disable row level security\')'),
    ("rls-not-forced", 'op.enable_rls("patient", force=False)'),
    ("rls-not-forced", 'op.execute("alter table patient enable row level security")'),
    ("rls-not-forced", 'op.enable_rls("patient")\nop.execute("ALTER TABLE patient NO FORCE ROW LEVEL SECURITY")'),
    ("rls-not-forced", 'op.execute("ALTER TABLE IF EXISTS made_elsewhere NO FORCE ROW LEVEL SECURITY")'),
    ("definer-search-path", 'op.execute("create function f() returns int language sql security definer as $$ select 1 $$")'),
    ("definer-search-path", 'op.execute("create or replace function f() returns int language sql security definer set search_path = pg_temp, app as \'select 1\'")'),
    ("definer-search-path", 'op.execute("CREATE PROCEDURE p(x int) LANGUAGE plpgsql SET search_path TO pg_catalog SECURITY DEFINER AS $b$BEGIN NULL; END$b$")'),
    ("definer-search-path", 'op.execute("ALTER FUNCTION s.f(int) SECURITY DEFINER")'),
    ("definer-search-path", 'op.execute("create function f() returns int language sql security definer set search_path = app, pg_temp as $$ select 1 $$")\nop.execute("alter function f() reset search_path")'),
    ("alter-type-of-encrypted", 'op.alter_column("patient", "ssn", type_=sa.Text(), postgresql_using="ssn::text")'),
    ("alter-type-of-encrypted", 'op.execute("alter table patient alter ssn set data type bytea")'),
    ("alter-type-of-encrypted", 'op.alter_column("patient", "city", type_=vaultdb.orm.Envelope())'),
    ("alter-type-of-encrypted", 'with op.batch_alter_table("patient") as batch:\n    batch.alter_column("ssn", type_=sa.Text())'),
    ("index-on-ciphertext", 'op.create_index("ix", "patient", ["ssn"])'),
    ("index-on-ciphertext", 'op.create_unique_constraint("u", "patient", ["clinic_id", "ssn"])'),
    ("index-on-ciphertext", 'op.execute("create unique index concurrently if not exists ix on public.patient using btree (md5(ssn))")'),
    ("index-on-ciphertext", 'op.execute("CREATE TABLE t (id int PRIMARY KEY, s vaultdb.envelope UNIQUE STORAGE EXTERNAL)")'),
    ("plaintext-dropped-early", EXPAND + 'op.drop_column("patient", "city")'),
    ("plaintext-dropped-early", EXPAND + 'op.execute("alter table patient drop if exists city cascade")'),
    ("plaintext-dropped-early", EXPAND + COVER.replace(')")', ') not valid")') + 'op.drop_column("patient", "city")'),
    ("plaintext-dropped-early", EXPAND + COVER.replace("is not null)", "is not null or true)") + 'op.drop_column("patient", "city")'),
    ("bound-key-changed", 'op.alter_column("patient", "id", type_=sa.Text())'),
    ("bound-key-changed", 'op.execute("alter table patient add foreign key (id) references person on update cascade")'),
    ("bound-key-changed", 'op.create_foreign_key("f", "patient", "person", ["id"], ["id"], onupdate="SET NULL")'),
    ("bound-key-changed", 'op.execute("create table t (id int primary key references p on delete cascade on update cascade, s vaultdb.envelope storage external)")'),
    ("view-runs-as-owner", 'op.execute("create view v as select id from patient")'),
    ("view-runs-as-owner", 'op.execute("create or replace view v (a) with (security_invoker = false) as table public.patient")'),
    ("view-runs-as-owner", 'op.execute("CREATE MATERIALIZED VIEW v AS SELECT * FROM \\"patient\\"")'),
    ("view-runs-as-owner", 'op.execute("alter view v reset (security_invoker)")'),
    ("encrypted-table-published", 'op.execute("create publication p for all tables")'),
    ("encrypted-table-published", 'op.execute("create publication p for table other, only patient (id, ssn)")'),
    ("encrypted-table-published", 'op.execute("ALTER PUBLICATION p ADD TABLE patient")'),
    ("storage-not-external", 'op.add_column("patient", sa.Column("x", vaultdb.orm.Envelope()))'),
    ("storage-not-external", 'op.execute("alter table patient alter column ssn set storage extended")'),
    ("policy-shows-all", 'op.create_policy("p", "patient", roles=["vaultdb_rw"], using="true")'),
    ("policy-shows-all", 'op.execute("create policy p on patient using ((true))")'),
    ("policy-shows-all", 'op.execute("alter policy p on patient to vaultdb_ro with check (TRUE)")'),
    ("not-inspected", 'op.get_bind().execute(sa.text("SELECT 1")).one()[0] + 1'),
    ("not-inspected", "sa.inspect(op.get_bind()).get_table_names()"),
    ("unknown-rule", "op.execute('select 1')  # vaultdb: allow grant-to-pubic because of a typo"),
]  # fmt: skip

GOOD: list[str] = [
    'op.grant(["SELECT"], "patient", "app")',
    'op.revoke(["SELECT"], "patient", "PUBLIC")',
    'op.execute(\'grant select on patient to "PUBLIC"\')',
    "op.execute(\"comment on table patient is 'grant select to public; disable row level security'\")",
    'op.execute("-- grant select on patient to public\\nselect 1 /* grant x to public */")',
    'op.enable_rls("patient")',
    'op.execute("alter table patient enable row level security, force row level security")',
    'op.execute("alter table patient enable row level security")\nop.execute("alter table patient force row level security")',
    'op.execute("create function f() returns int language sql security definer set search_path = pg_catalog, \\"pg_temp\\" as $$ select 1 $$")',
    "op.execute(\"create function f() returns int language sql set search_path to 'app, pg_temp' security definer as $$ select 1 $$\")",
    'op.execute("create function f() returns text language sql as $$ select \'security definer\' $$")',
    'op.execute("alter function g() set search_path = app")',
    'op.alter_column("patient", "city", type_=sa.String(100))',
    'op.alter_column("patient", "ssn", nullable=False)',
    'op.create_index("ix", "patient", ["city"])',
    'op.execute("create index ix on patient (city) include (ssn) where ssn is not null")',
    'op.create_blind_index("patient", "ssn", unique=True)',
    EXPAND + COVER + 'op.drop_invalidation_trigger("patient", "city", "city_encrypted")\nop.drop_column("patient", "city")',
    EXPAND + COVER.replace(')")', ') not valid")') + 'op.execute("alter table patient validate constraint c")\nop.drop_column("patient", "city")',
    'op.drop_column("patient", "city")',
    'op.drop_column("patient", "ssn")',
    'op.execute("alter table patient add foreign key (clinic_id) references clinic on update cascade")',
    'op.execute("alter table patient add foreign key (id) references person on update no action")',
    'op.execute("create view v with (security_invoker = on) as select id from patient")',
    'op.execute("create view v as select 1 as one")',
    'op.execute("create publication p for table patient (id, city)")',
    'op.add_encrypted_column("patient", sa.Column("x", vaultdb.orm.Envelope()))',
    'op.add_column("patient", sa.Column("x", vaultdb.orm.Envelope()))\nop.execute("alter table patient alter x set storage external")',
    'op.create_policy("p", "patient", roles=["vaultdb_rotator"], using="true")',
    'op.create_policy("p", "patient", roles=["vaultdb_rw"], using="true", permissive=False)',
    'op.bulk_insert(sa.table("patient", sa.column("id")), [{"id": object()}])',
    'op.get_bind().execute(sa.text("SELECT count(*) FROM patient")).scalar()',
    'with op.get_context().autocommit_block():\n    op.execute("select 1")',
    'op.rename_table("patient", "person")\nop.create_index("ix", "person", ["city"])',
]  # fmt: skip


@pytest.mark.parametrize(("rule", "upgrade"), BAD)
def test_what_a_rule_is_for_is_found_where_it_stands(tmp_path: Path, rule: str, upgrade: str):
    (finding,) = look_at(tmp_path / "bad", PATIENT, upgrade)
    assert finding.rule == rule
    assert Path(finding.file).name == "0002_step.py"
    offset = finding.line - FIRST_LINE
    assert 0 <= offset <= upgrade.count("\n")
    assert finding.remedy == REMEDIES[rule]
    assert str(finding).startswith(f"{finding.file}:{finding.line}: {rule}: ")


@pytest.mark.parametrize("upgrade", GOOD)
def test_what_is_good_is_passed_over(tmp_path: Path, upgrade: str):
    assert look_at(tmp_path / "good", PATIENT, upgrade) == []


def test_every_rule_has_an_example():
    assert {rule for rule, _ in BAD} | {"undeclared-access", "allowed-without-reason"} == set(
        REMEDIES
    )


@pytest.mark.parametrize(("rule", "upgrade"), [case for case in BAD if case[0] != "unknown-rule"])
def test_a_comment_with_a_reason_allows_it(tmp_path: Path, rule: str, upgrade: str):
    allow = f"# vaultdb: allow {rule} because the table is empty"
    lines = upgrade.split("\n")
    indents = [line[: len(line) - len(line.lstrip())] for line in lines]
    allowed = [
        f"{i}{allow}\n{i}# and stays so\n{line}" for i, line in zip(indents, lines, strict=True)
    ]
    assert look_at(tmp_path / "allowed", PATIENT, "\n".join(allowed)) == []


def test_a_comment_without_a_reason_allows_nothing(tmp_path: Path):
    upgrade = 'op.disable_rls(\n    "patient",  # vaultdb: allow rls-disabled\n)'
    rules = [finding.rule for finding in look_at(tmp_path / "m", PATIENT, upgrade)]
    assert sorted(rules) == ["allowed-without-reason", "rls-disabled"]


def test_a_comment_within_a_long_call_allows_that_call_only(tmp_path: Path):
    upgrade = """
    op.disable_rls(
        "patient",  # vaultdb: allow rls-disabled because nothing is in it yet
    )
    op.disable_rls("patient")
    """
    (finding,) = look_at(tmp_path / "m", PATIENT, upgrade)
    assert (finding.rule, finding.line) == ("rls-disabled", FIRST_LINE + 4)


def test_a_comment_allows_only_the_rule_that_it_names(tmp_path: Path):
    upgrade = "# vaultdb: allow grant-to-public because why not\nop.disable_rls('patient')"
    (finding,) = look_at(tmp_path / "m", PATIENT, upgrade)
    assert finding.rule == "rls-disabled"


def test_a_table_without_declared_access_is_found_where_it_is_made(tmp_path: Path):
    metadata = MetaData()
    key = Column("id", BigInteger, primary_key=True)
    table = Table("patient", metadata, key, Column("ssn", Encrypted(str)))
    (finding,) = look_at(tmp_path / "m", PATIENT, metadata=metadata)
    assert (finding.rule, finding.line) == ("undeclared-access", FIRST_LINE)
    access(table)
    assert look_at(tmp_path / "n", PATIENT, metadata=metadata) == []


def test_a_table_without_declared_access_is_found_before_it_is_made(tmp_path: Path):
    metadata = MetaData()
    Table("log", metadata, Column("id", BigInteger), schema="s")
    (finding,) = look_at(tmp_path / "m", "pass", metadata=metadata)
    assert str(finding) == (
        "undeclared-access: nobody has said who may do what with s.log;"
        " declare it beside the model: vaultdb.access(Model, ...)"
    )


def test_the_models_say_which_key_values_are_bound_to(tmp_path: Path):
    metadata = MetaData()
    key = [Column("id", BigInteger, primary_key=True), Column("clinic_id", BigInteger)]
    table = Table("patient", metadata, *key, Column("ssn", Encrypted(str, bind="column")))
    access(table)
    upgrade = 'op.alter_column("patient", "id", type_=sa.Text())'
    assert look_at(tmp_path / "m", PATIENT, upgrade, metadata=metadata) == []


@pytest.mark.parametrize("by_info", [True, False])
def test_the_models_say_which_plaintext_a_column_replaces(tmp_path: Path, by_info: bool):
    metadata = MetaData()
    key = Column("id", BigInteger, primary_key=True)
    secret = Column("ssn", Encrypted(str, adopts=None if by_info else "city"))
    if by_info:
        secret.info["vaultdb.replaces"] = "city"
    access(Table("patient", metadata, key, Column("city", Text), secret))
    upgrade = 'op.drop_column("patient", "city")'
    (finding,) = look_at(tmp_path / "m", PATIENT, upgrade, metadata=metadata)
    assert finding.rule == "plaintext-dropped-early"


def test_renames_are_followed(tmp_path: Path):
    rename = 'op.rename_table("patient", "person")\nop.alter_column("person", "ssn", new_column_name="number")'
    (finding,) = look_at(
        tmp_path / "m", PATIENT, rename, 'op.create_index("ix", "person", ["number"])'
    )
    assert finding.message == "an index over person.number"


def test_a_schema_is_part_of_a_tables_name(tmp_path: Path):
    create = PATIENT.replace("Envelope()),\n)", 'Envelope()),\n    schema="Odd App",\n)')
    found = look_at(
        tmp_path / "m", create, 'op.create_index("ix", "patient", ["ssn"], schema="Odd App")'
    )
    assert [finding.rule for finding in found] == ["index-on-ciphertext"]
    assert look_at(tmp_path / "n", create, 'op.create_index("ix", "patient", ["ssn"])') == []


def test_a_later_revision_may_put_it_right(tmp_path: Path):
    first = 'op.execute("alter table patient enable row level security")'
    assert look_at(tmp_path / "m", PATIENT, first, 'op.force_rls("patient")') == []


def test_the_owners_prefix_counts(tmp_path: Path):
    folder = write(
        tmp_path / "m", PATIENT, 'op.create_policy("p", "patient", roles=["a_rw"], using="true")'
    )
    assert check(folder) == []
    (finding,) = check([folder], names=RoleNames("a_"))
    assert finding.rule == "policy-shows-all"


def test_vaultdbs_own_revisions_break_no_rule():
    assert check(Path(__file__).parents[3] / "migrations") == []
