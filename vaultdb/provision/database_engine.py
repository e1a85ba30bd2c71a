"""Vault's database engine: its connection to PostgreSQL and the logins that it leases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from vaultdb.errors import ConfigurationError, VaultDenied
from vaultdb.provision.engine_login import ENGINE_CONNECTIONS
from vaultdb.provision.lease_roles import (
    USERNAME_TEMPLATE,
    creation_statements,
    login_of,
    revocation_statements,
    rotation_statements,
)
from vaultdb.provision.step import State
from vaultdb.provision.vault_objects import Fields, VaultObjects
from vaultdb.provision.vault_spec import LeaseSpec
from vaultdb.roles.static_logins import engine_login
from vaultdb.vault.lease_names import Lease

PLUGIN = "postgresql-database-plugin"


def check_names(spec: LeaseSpec) -> None:
    """Refuse names that Vault would tear apart.

    Raises:
        ConfigurationError: says which and why.

    """
    creation_statements(Lease.APP_RW, spec.names)
    login = engine_login(spec.names)
    if set(login) & set(":@"):
        raise ConfigurationError(
            f"vault cannot log in as {login}: it writes the name into a URL, where : and @ end it;"
            " choose another database.role_prefix"
        )


def set_up_leases(vault: VaultObjects, spec: LeaseSpec) -> bool:
    """Mount the database engine, connect it, and make a role for each login.

    Returns whether the connection is to this database: the logins of another one are left to it.

    Raises:
        ConfigurationError: a new connection has no password, or its URL names a user.
        VaultError: Vault cannot connect, says why.

    """
    vault.ensure_mount(spec.mount, "database", "logins in PostgreSQL")
    is_ours = _connection(vault, spec)
    for lease in Lease if is_ours else ():
        if spec.static:
            _static_role(vault, spec, lease)
        else:
            _dynamic_role(vault, spec, lease)
    _irrevocable(vault, spec)
    return is_ours


def rotate_root(vault: VaultObjects, spec: LeaseSpec) -> None:
    """Give the engine's login a password that only Vault knows."""
    vault.progress.step(
        f"password of {engine_login(spec.names)}, which nobody but vault will know",
        State.CHANGE,
        lambda: vault.write(f"{spec.mount}/rotate-root/{spec.connection}", {}),
    )


def _connection(vault: VaultObjects, spec: LeaseSpec) -> bool:
    path = f"{spec.mount}/config/{spec.connection}"
    login = engine_login(spec.names)
    found = vault.read(path)
    if found is None and spec.password is None and not vault.progress.plan:
        raise ConfigurationError(
            f"vault needs the password of {login} to lease logins: give"
            " --engine-password-file, which vaultdb provision postgres can write"
        )
    wanted = {
        "allowed_roles": [lease.engine_role for lease in Lease],
        "connection_url": _with_placeholders(spec.url),
        "username": login,
        # the default would send passwords in clear text, for anybody to find in a server log
        "password_authentication": "scram-sha-256",
        "username_template": USERNAME_TEMPLATE,
        "max_open_connections": ENGINE_CONNECTIONS // 2,
        "max_connection_lifetime": "5m",
    }
    unseen = {"plugin_name": PLUGIN}
    if spec.password is not None:
        unseen["password"] = spec.password
    is_ours = spec.replace or found is None or _same_database(_flat(found), spec.url)
    vault.ensure(
        f"connection {spec.connection} to {_place(spec.url)}",
        path,
        wanted,
        unseen=unseen,
        flatten=_flat,
        ours=is_ours,
    )
    return is_ours


def _dynamic_role(vault: VaultObjects, spec: LeaseSpec, lease: Lease) -> None:
    vault.ensure(
        f"leased login {lease.engine_role}",
        f"{spec.mount}/roles/{lease.engine_role}",
        {
            "db_name": spec.connection,
            "creation_statements": creation_statements(lease, spec.names),
            "revocation_statements": revocation_statements(spec.names),
            "default_ttl": spec.default_ttl,
            "max_ttl": spec.max_ttl,
        },
    )


def _static_role(vault: VaultObjects, spec: LeaseSpec, lease: Lease) -> None:
    vault.ensure(
        f"static login {lease.engine_role}",
        f"{spec.mount}/static-roles/{lease.engine_role}",
        {
            "db_name": spec.connection,
            "username": login_of(lease, spec.names).name,
            "rotation_period": spec.rotation_period,
            "rotation_statements": rotation_statements(spec.names),
        },
    )


def _irrevocable(vault: VaultObjects, spec: LeaseSpec) -> None:
    """Report leases that Vault has given up to revoke: their logins still exist."""
    try:
        found = vault.read("sys/leases/count?type=irrevocable")
    except VaultDenied:
        return
    count = sum(
        number
        for mount, number in ((found or {}).get("counts") or {}).items()
        if mount.startswith(f"{spec.mount}/")
    )
    if count:
        vault.progress.step(
            f"{count} irrevocable leases in {spec.mount}",
            State.FOREIGN,
            detail=[
                "the logins still exist: they own something, or were granted something by hand",
                "in PostgreSQL: REASSIGN OWNED BY the login, DROP OWNED BY it, DROP ROLE it",
                f"then in Vault: sys/leases/revoke-force/{spec.mount}/creds/ROLE",
            ],
        )


def _with_placeholders(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "postgresql" or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(
            "vault reaches the database by postgresql://host:port/name, without a user: give"
            " --database-url"
        )
    return parts._replace(netloc="{{username}}:{{password}}@" + parts.netloc).geturl()


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"


def _flat(found: Fields) -> dict[str, Any]:
    details = found.get("connection_details")
    return {**found, **(details if isinstance(details, Mapping) else {})}


def _same_database(found: Fields, url: str) -> bool:
    return _place(str(found.get("connection_url", ""))) == _place(url)
