"""`vaultdb roles` from the command line."""

from __future__ import annotations

import io
import json
import sys
import textwrap
import warnings

import pytest

from tests.integration.roles.conftest import Place
from vaultdb.cli import main


@pytest.fixture
def roles(here: Place, monkeypatch, capsys, tmp_path):
    """Run a command with the administrator's login, on a plain database."""
    (tmp_path / "rolemodels.py").write_text(
        textwrap.dedent("""
        from sqlalchemy import Column, Integer, MetaData, Table, Text
        from vaultdb import access
        metadata = MetaData()
        visit = Table("visit", metadata, Column("id", Integer, primary_key=True), Column("note", Text))
        access(visit, rw="select insert", ro=["id"])
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAULTDB_KEYS", "memory")
    monkeypatch.setenv("VAULTDB_ROLE_PREFIX", here.names.prefix)
    monkeypatch.setenv("VAULTDB_ADMIN_URL", here.database.admin_url)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        monkeypatch.setattr(sys, "argv", ["vaultdb", "roles", *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    yield run
    sys.modules.pop("rolemodels", None)


def test_the_way_from_a_plain_database_to_a_clean_one(roles, here):
    rw = here.names.rw
    code, out, _ = roles("plan")
    assert code == 2
    assert f"+ role {rw} NOLOGIN INHERIT" in out
    assert f"- grant CONNECT on database {here.database.name} to everybody (PUBLIC)" in out
    assert "CREATE ROLE" not in out
    assert "looked with the login of admin: vaultdb_admin" in out
    assert f"CREATE ROLE {rw} NOLOGIN INHERIT" in roles("plan", "--sql")[1]
    code, _, err = roles("apply")
    assert (code, "say --yes" in err) == (1, True)
    code, out, _ = roles("apply", "--yes")
    assert code == 0
    assert "recorded in vaultdb_audit.operation" in out
    code, out, _ = roles("plan")
    assert (code, "there is nothing to change" in out) == (0, True)
    code, out, _ = roles("verify")
    assert code == 0, out
    assert "roles and privileges are as they shall be" in out
    assert "note: no models were given" in out


def test_drift_is_shown_with_its_remedy_and_declared_access_is_applied(roles, here):
    assert roles("apply", "--yes")[0] == 0
    here.run("CREATE TABLE visit (id serial PRIMARY KEY, note text)")
    model = ("--model", "rolemodels:metadata")
    code, out, _ = roles("verify", *model)
    assert code == 1
    assert "drift: table public.visit belongs to vaultdb_admin instead of" in out
    assert "5 differences; 5 repaired by: vaultdb roles apply" in out
    found = json.loads(roles("verify", *model, "--json")[1])
    assert not found["clean"]
    assert {"fact", "problem", "remedy", "is_repaired"} <= set(found["drifts"][0])
    assert json.loads(roles("plan", *model, "--json")[1])["statements"]
    assert roles("apply", "--yes", *model)[0] == 0
    code, out, _ = roles("verify", *model)
    assert code == 0, out
    line = next(line for line in out.splitlines() if f"{here.names.ro} " in line)
    assert line.split() == ["public.visit", here.names.ro, "SELECT(columns)"]


def test_apply_is_not_promised_to_repair_what_it_leaves_alone(roles, here):
    assert roles("apply", "--yes")[0] == 0
    here.run(f"CREATE ROLE {here.names.prefix}legacy LOGIN CONNECTION LIMIT 5")
    here.run(f"GRANT {here.names.rw} TO {here.names.prefix}legacy")
    code, out, _ = roles("verify")
    assert code == 1
    assert "is a member of" in out
    assert "1 difference; all by hand" in out


def test_logins_are_made_unless_told_otherwise(roles, here):
    assert roles("apply", "--yes", "--no-logins")[0] == 0
    assert roles("plan", "--no-logins")[0] == 0
    code, out, _ = roles("plan")
    assert code == 2
    assert f"+ role {here.names.prefix}app LOGIN INHERIT, 90 connections" in out


def test_without_an_administrator_apply_refuses_and_others_look(roles, here, monkeypatch):
    assert roles("apply", "--yes")[0] == 0
    monkeypatch.delenv("VAULTDB_ADMIN_URL")
    monkeypatch.setenv("VAULTDB_URL", here.url_for(f"{here.names.prefix}app_read"))
    code, _, err = roles("apply", "--yes")
    assert (code, "set VAULTDB_ADMIN_URL" in err) == (1, True)
    code, out, _ = roles("verify")
    assert code == 0, out
    assert f"with the login of app: {here.names.prefix}app_read" in out
    monkeypatch.setenv("VAULTDB_MIGRATE_URL", here.url_for(f"{here.names.prefix}migrator"))
    assert f"login of migrator: {here.names.prefix}migrator" in roles("verify")[1]


def test_the_script_needs_no_connection(roles, here, monkeypatch):
    monkeypatch.delenv("VAULTDB_ADMIN_URL")
    code, out, _ = roles("sql", "--model", "rolemodels:metadata")
    assert code == 0
    assert out.startswith("-- Roles, privileges and settings of vaultdb.")
    assert 'ON TABLE "public"."visit"' in out


def test_a_prefix_that_cannot_be_is_refused(roles, monkeypatch):
    monkeypatch.setenv("VAULTDB_ROLE_PREFIX", "pg_x")
    code, _, err = roles("plan")
    assert (code, "setting database.role_prefix" in err) == (1, True)


def test_a_login_under_another_name_is_known_from_the_settings(roles, here, monkeypatch):
    assert roles("apply", "--yes")[0] == 0
    login = f"{here.names.prefix}clinic web"
    here.run(f'CREATE ROLE "{login}" LOGIN IN ROLE {here.names.rw}')
    code, out, _ = roles("verify")
    assert (code, f'"{login}" is a member of {here.names.rw}' in out) == (1, True)
    monkeypatch.setenv("VAULTDB_URL", f"postgresql://{login.replace(' ', '%20')}@127.0.0.1/x")
    code, out, _ = roles("verify")
    assert code == 0, out
    here.run(f'ALTER ROLE "{login}" BYPASSRLS')
    code, out, _ = roles("verify")
    assert (code, f'ALTER ROLE "{login}" NOBYPASSRLS' in out) == (1, True)
