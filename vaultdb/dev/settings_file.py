"""The `vaultdb.toml` of a dev stack: every role's logins, secrets only as file names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from vaultdb.dev.ports import LOOPBACK
from vaultdb.dev.state import DevState, StateFolder
from vaultdb.settings.model import KEK, TRANSIT_MOUNT
from vaultdb.vault.policies import Role

DATABASE = "app"
LOGINS = {
    "app": "vaultdb_app",
    "migrator": "vaultdb_migrator",
    "officer": "vaultdb_key_officer",
    "rotator": "vaultdb_key_rotator",
}
VAULT_ROLES = tuple(str(role) for role in Role)


def password_name(login: str) -> str:
    """Return the name of the secret that holds a PostgreSQL login's password."""
    return f"{login}.password"


def secret_id_name(role: str) -> str:
    """Return the name of the secret that holds a Vault role's secret id."""
    return f"{role}.secret_id"


def render_settings(folder: StateFolder, state: DevState, role_ids: dict[str, str]) -> str:
    """Return the settings file; the app's at the top, then one overlay for each other role."""
    authority = folder.tls / "ca.pem"
    lines = [
        "# Written by vaultdb dev up. The application's settings; [role.NAME] for commands.",
        f"realm = {_quote(state.realm)}",
        "",
        "[database]",
        *_database(folder, state, "app"),
        f"sslrootcert = {_quote(authority)}",
        f"migrate_url = {_quote(_url(state, 'migrator'))}",
        f"migrate_password_file = {_quote(_password_file(folder, 'migrator'))}",
        "",
        "[vault]",
        f"addr = {_quote(f'https://{LOOPBACK}:{state.vault_port}')}",
        f"ca_cert = {_quote(authority)}",
        'auth = "approle"',
        *_approle(folder, "app", role_ids),
        f"transit_mount = {_quote(TRANSIT_MOUNT)}",
        f"kek = {_quote(KEK)}",
    ]
    for role in ("migrator", "officer", "rotator"):
        lines += ["", f"[role.{role}.database]", *_database(folder, state, role)]
    for role in ("officer", "rotator", "reencryptor"):
        lines += ["", f"[role.{role}.vault]", *_approle(folder, role, role_ids)]
    return "\n".join(lines) + "\n"


def _database(folder: StateFolder, state: DevState, role: str) -> Iterator[str]:
    yield f"url = {_quote(_url(state, role))}"
    yield f"password_file = {_quote(_password_file(folder, role))}"


def _approle(folder: StateFolder, role: str, role_ids: dict[str, str]) -> Iterator[str]:
    yield f"role_id = {_quote(role_ids[role])}"
    yield f"secret_id_file = {_quote(folder.secret_file(secret_id_name(role)))}"


def _url(state: DevState, role: str) -> str:
    return f"postgresql://{LOGINS[role]}@{LOOPBACK}:{state.postgres_port}/{DATABASE}"


def _password_file(folder: StateFolder, role: str) -> Path:
    return folder.secret_file(password_name(LOGINS[role]))


def _quote(value: str | Path) -> str:
    # a JSON string in ASCII is a TOML basic string
    return json.dumps(str(value))
