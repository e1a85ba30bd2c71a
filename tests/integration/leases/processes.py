"""Settings for programs of their own: a vaultdb.toml and the environment that names it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.fixtures.leasing import Leasing

HERE = Path(__file__).parents[3]


def settings_file(leasing: Leasing, folder: Path, **database: Any) -> dict[str, str]:
    """Write the app's settings; return the environment for a program that uses them."""
    settings = leasing.settings(database=database)
    vault = settings.vault
    secret_id = folder / "secret-id"
    assert vault.secret_id is not None
    secret_id.write_text(vault.secret_id.get_secret_value())
    chosen = settings.database
    lines = [
        f'realm = "{settings.realm}"',
        "[database]",
        f'url = "{leasing.url}"',
        f'sslrootcert = "{chosen.sslrootcert}"',
        f'lease = "{chosen.lease}"',
        f'lease_mount = "{chosen.lease_mount}"',
        f"lease_overlap = {chosen.lease_overlap}",
        "[vault]",
        f'addr = "{vault.addr}"',
        f'ca_cert = "{vault.ca_cert}"',
        f'role_id = "{vault.role_id}"',
        f'secret_id_file = "{secret_id}"',
    ]
    file = folder / "vaultdb.toml"
    file.write_text("\n".join(lines))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "VAULTDB_CONFIG": str(file), "PYTHONPATH": str(HERE)}
