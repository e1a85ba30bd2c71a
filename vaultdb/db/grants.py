"""What each capability role may do in the schema `vaultdb`.

Capability roles cannot log in; logins, static or leased, are members. The app reads wrapped keys
and can change none; the officer adds keys; the rotator replaces wrapped keys it cannot open,
restricts their states (a state never gives a right back), and keeps the jobs.
"""

from __future__ import annotations

from collections.abc import Mapping

from vaultdb.db.privileges import Privilege
from vaultdb.db.quoting import literal, quote_name
from vaultdb.db.role_names import RoleNames

_READ = (
    Privilege("schema", "vaultdb", "USAGE"),
    *(
        Privilege("table", f"vaultdb.{table}", "SELECT")
        for table in ("realm", "data_key", "logical_name", "alembic_version")
    ),
)
_DATA = (
    *_READ,
    Privilege("function", "vaultdb.bind_row(bytea,bytea)", "EXECUTE"),
    Privilege("type", "vaultdb.envelope", "USAGE"),
)
_ADD_KEYS = (Privilege("table", "vaultdb.data_key", "INSERT"),)
_REWRAP = tuple(
    Privilege("column", f"vaultdb.data_key.{column}", "UPDATE")
    for column in (
        "wrapped",
        "wrapped_prev",
        "kek_version",
        "rewrapped_at",
        "state",
        "state_changed_at",
    )
)
_JOBS = tuple(
    Privilege("table", f"vaultdb.{table}", privilege)
    for table in ("job", "job_chunk", "job_quarantine")
    for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")
)
_MANIFESTS = (
    Privilege("table", "vaultdb.backup_manifest", "SELECT"),
    Privilege("table", "vaultdb.backup_manifest", "INSERT"),
    Privilege("column", "vaultdb.backup_manifest.released_at", "UPDATE"),
)


def privileges(names: RoleNames) -> Mapping[str, tuple[Privilege, ...]]:
    """Return what each capability role holds; the roles' names are unquoted."""
    return {
        names.rw: _DATA,
        names.ro: _DATA,
        names.officer: (*_READ, *_ADD_KEYS),
        names.rotator: (*_DATA, *_REWRAP, *_JOBS, *_MANIFESTS),
    }


def app_roles(names: RoleNames) -> tuple[str, str]:
    """Return the roles whose members are the application's logins, which must not migrate."""
    return names.rw, names.ro


def grants_for(role: str, names: RoleNames) -> list[str]:
    """Return the GRANT statements of one capability role."""
    return [privilege.grant(quote_name(role)) for privilege in privileges(names)[role]]


def guarded_grants(names: RoleNames) -> str:
    """Return one DO block that grants to the roles that exist, for scripts made offline."""
    lines = []
    for role in privileges(names):
        body = "\n".join(f"    {statement};" for statement in grants_for(role, names))
        lines.append(
            f"  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal(role)}) THEN\n"
            f"{body}\n"
            "  END IF;"
        )
    return "DO $vaultdb$ BEGIN\n" + "\n".join(lines) + "\nEND $vaultdb$"
