"""The `vaultdb.toml` of a dev stack: every role's logins, secrets only as file names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from vaultdb.dev.databases import NAMES
from vaultdb.dev.ports import LOOPBACK
from vaultdb.dev.postgres import ADMIN
from vaultdb.dev.state import DevState, StateFolder
from vaultdb.provision.lease_roles import login_of
from vaultdb.provision.vault_spec import ROLES
from vaultdb.settings.model import KEK, TRANSIT_MOUNT
from vaultdb.vault.policies import LEASES, Role

DATABASE = "app"
ADMINISTRATOR = "admin"
"""The role of the settings that sets things up."""

DEVELOPER = "developer"
"""Who acts, as the audit log has it, where the code names nobody."""

VAULT_ROLES = (*map(str, ROLES), ADMINISTRATOR)
_USED = tuple(role for role in LEASES if role is not Role.APP)
"""The roles with settings of their own, beside the application."""


def password_name(login: str) -> str:
    """Return the name of the secret that holds a PostgreSQL login's password."""
    return f"{login}.password"


def secret_id_name(role: str) -> str:
    """Return the name of the secret that holds a Vault role's secret id."""
    return f"{role}.secret_id"


def database_url(state: DevState, login: str = "") -> str:
    """Return the URL of the database, for a login or for nobody yet."""
    user = f"{login}@" if login else ""
    return f"postgresql://{user}{LOOPBACK}:{state.postgres_port}/{DATABASE}"


def render_settings(folder: StateFolder, state: DevState, role_ids: dict[str, str]) -> str:
    """Return the settings file; the app's at the top, then one overlay for each other role."""
    authority = folder.tls / "ca.pem"
    migrator = _login(Role.MIGRATOR)
    lines = [
        "# Written by vaultdb dev up. The application's settings; [role.NAME] for commands.",
        f"realm = {_quote(state.realm)}",
        "",
        "[database]",
        *_database(folder, state, _login(Role.APP)),
        f"sslrootcert = {_quote(authority)}",
        f"migrate_url = {_quote(database_url(state, migrator))}",
        f"migrate_password_file = {_quote(_password_file(folder, migrator))}",
        "",
        "[vault]",
        f"addr = {_quote(f'https://{LOOPBACK}:{state.vault_port}')}",
        f"ca_cert = {_quote(authority)}",
        'auth = "approle"',
        *_approle(folder, Role.APP, role_ids),
        f"transit_mount = {_quote(TRANSIT_MOUNT)}",
        f"kek = {_quote(KEK)}",
        "",
        "[audit]",
        f"principal = {_quote(DEVELOPER)}",
    ]
    for role in _USED:
        lines += ["", f"[role.{role}.database]", *_database(folder, state, _login(role))]
        lines += ["", f"[role.{role}.vault]", *_approle(folder, role, role_ids)]
    lines += ["", f"[role.{ADMINISTRATOR}.database]", *_database(folder, state, ADMIN)]
    lines += ["", f"[role.{ADMINISTRATOR}.vault]", *_approle(folder, ADMINISTRATOR, role_ids)]
    return "\n".join([*lines, *_leased(state)]) + "\n"


def _leased(state: DevState) -> Iterator[str]:
    yield from ("", "# With VAULTDB_PROFILE=leased: no passwords, Vault leases each login.")
    for role in (Role.APP, *_USED):
        overlay = "" if role is Role.APP else f"role.{role}."
        yield from ("", f"[profile.leased.{overlay}database]")
        yield f"url = {_quote(database_url(state))}"
        yield f"lease = {_quote(LEASES[role].engine_role)}"


def _database(folder: StateFolder, state: DevState, login: str) -> Iterator[str]:
    yield f"url = {_quote(database_url(state, login))}"
    yield f"password_file = {_quote(_password_file(folder, login))}"


def _approle(folder: StateFolder, role: str, role_ids: dict[str, str]) -> Iterator[str]:
    yield f"role_id = {_quote(role_ids[role])}"
    yield f"secret_id_file = {_quote(folder.secret_file(secret_id_name(role)))}"


def _login(role: Role) -> str:
    return login_of(LEASES[role], NAMES).name


def _password_file(folder: StateFolder, login: str) -> Path:
    return folder.secret_file(password_name(login))


def _quote(value: str | Path) -> str:
    # a JSON string in ASCII is a TOML basic string
    return json.dumps(str(value))
