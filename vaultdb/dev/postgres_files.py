"""The configuration of the private PostgreSQL: TLS and SCRAM only, loopback only, no sockets."""

from __future__ import annotations

from pathlib import Path

from vaultdb.dev.ports import LOOPBACK

# The first line that matches decides. No unix socket exists, so there is no "local" line.
HOST_BASED_AUTHENTICATION = """\
hostnossl all         all  all           reject
hostssl   all         all  127.0.0.1/32  scram-sha-256
hostssl   all         all  ::1/128       scram-sha-256
"""

BASE = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "ssl": "on",
    "ssl_min_protocol_version": "TLSv1.3",
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "max_prepared_transactions": "20",  # two-phase commit is off by default
    "log_timezone": "UTC",
    "timezone": "UTC",
    # the dynamic default asks for /dev/shm, which small containers lack
    "dynamic_shared_memory_type": "mmap",
}

# For tests only: a crash of the machine loses the data, a crash of the server loses nothing.
THROWAWAY = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "10min",
}


def render_configuration(folder: Path, *, port: int, throwaway: bool) -> str:
    """Return `postgresql.conf` for a server whose files lie in `folder`."""
    settings = BASE | {
        "port": str(port),
        "data_directory": str(folder / "data"),
        "hba_file": str(folder / "pg_hba.conf"),
        "ident_file": str(folder / "pg_ident.conf"),
        "ssl_cert_file": str(folder / "server.pem"),
        "ssl_key_file": str(folder / "server.key"),
    }
    settings |= THROWAWAY if throwaway else {}
    return "".join(f"{name} = {_quote(value)}\n" for name, value in settings.items())


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
