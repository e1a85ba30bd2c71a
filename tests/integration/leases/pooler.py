"""A PgBouncer in transaction mode: TLS on both hops, logins looked up with `auth_query`."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql

from tests.fixtures.postgres import Database
from tests.unit.keys.support import eventually
from vaultdb.dev.account import unprivileged_account
from vaultdb.dev.ports import LOOPBACK, free_ports

LOOKUP = """
CREATE OR REPLACE FUNCTION public.pooler_lookup(name) RETURNS TABLE (name name, secret text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND NOT rolsuper'
"""
SETTINGS = """\
[databases]
{database} = host={host} port={postgres} dbname={database} auth_user={user}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
logfile = {folder}/log
auth_type = scram-sha-256
auth_file = {folder}/users
auth_query = SELECT name, secret FROM public.pooler_lookup($1)
pool_mode = transaction
default_pool_size = 4
client_tls_sslmode = require
client_tls_cert_file = {folder}/server.pem
client_tls_key_file = {folder}/server.key
server_tls_sslmode = verify-full
server_tls_ca_file = {folder}/ca.pem
"""


def program() -> str | None:
    """Return PgBouncer's path, None when it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def pgbouncer(database: Database, folder: Path) -> Iterator[int]:
    """Run one in front of a database; give its port."""
    path = program()
    assert path is not None
    (port,) = free_ports(1)
    user, password = f"pooler_{database.name}", secrets.token_urlsafe(16)
    with database.connect() as connection:
        name = sql.Identifier(user)
        connection.execute(LOOKUP)
        connection.execute("REVOKE ALL ON FUNCTION public.pooler_lookup(name) FROM PUBLIC")
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, password))
        for grant in ("CONNECT ON DATABASE {database}", "USAGE ON SCHEMA public",
                      "EXECUTE ON FUNCTION public.pooler_lookup(name)"):  # fmt: skip
            statement = sql.SQL("GRANT " + grant + " TO {login}")
            connection.execute(statement.format(database=sql.Identifier(database.name), login=name))
    folder.mkdir()
    certificates = database.postgres.server.certificates
    files = {
        "ca.pem": certificates.authority.read_bytes(),
        "server.pem": certificates.server.read_bytes(),
        "server.key": certificates.server_key.read_bytes(),
        "users": f'"{user}" "{password}"\n'.encode(),
        "ini": SETTINGS.format(
            host=LOOPBACK, postgres=database.postgres.port, database=database.name, user=user,
            port=port, folder=folder,
        ).encode(),
    }  # fmt: skip
    account = unprivileged_account()
    for file, content in files.items():
        (folder / file).write_bytes(content)
        (folder / file).chmod(0o600)
    if account is not None:
        for entry in (folder, *folder.iterdir()):
            account.own(entry)
    process = subprocess.Popen(
        [path, "-q", str(folder / "ini")],
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **(account.popen_arguments() if account else {}),
    )
    try:
        assert eventually(lambda: _accepts(port), 10), (folder / "log").read_text()
        yield port
    finally:
        process.terminate()
        process.wait(10)
        with database.connect() as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
            connection.execute(sql.SQL("DROP ROLE {}").format(name))


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True
