"""What each capability role may do in the schema `vaultdb`.

Capability roles cannot log in; logins, static or leased, are members. The app reads wrapped keys
and can change none; the officer adds keys; the rotator replaces wrapped keys it cannot open.
"""

from __future__ import annotations

OWNER = "vaultdb_owner"

_READ = (
    "USAGE ON SCHEMA vaultdb",
    "SELECT ON vaultdb.realm, vaultdb.data_key, vaultdb.logical_name, vaultdb.alembic_version",
)
_DATA = (
    *_READ,
    "EXECUTE ON FUNCTION vaultdb.bind_row(bytea, bytea)",
    "USAGE ON TYPE vaultdb.envelope",
)

GRANTS: dict[str, tuple[str, ...]] = {
    "vaultdb_rw": _DATA,
    "vaultdb_ro": _DATA,
    "vaultdb_officer": (*_READ, "INSERT ON vaultdb.data_key"),
    "vaultdb_rotator": (
        *_READ,
        "UPDATE (wrapped, wrapped_prev, kek_version, rewrapped_at) ON vaultdb.data_key",
    ),
}
"""Capability role to privileges; granted at the end of every migration to the roles that exist."""

APP_ROLES = ("vaultdb_rw", "vaultdb_ro")
"""Membership in one of these marks a login of the application, which must not run migrations."""


def grants_for(role: str) -> list[str]:
    """Return the GRANT statements of one capability role."""
    return [f"GRANT {privilege} TO {role}" for privilege in GRANTS[role]]


def guarded_grants() -> str:
    """Return one DO block that grants to the roles that exist, for scripts made offline."""
    lines = []
    for role in GRANTS:
        body = " ".join(f"{statement};" for statement in grants_for(role))
        lines.append(
            f"  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{role}') THEN\n"
            f"    {body}\n"
            "  END IF;"
        )
    return "DO $$ BEGIN\n" + "\n".join(lines) + "\nEND $$"
