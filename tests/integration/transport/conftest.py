"""A PostgreSQL whose TLS and pg_hba.conf each test may change; it is put right again afterwards."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.integration.transport.authority import Authority, Files
from vaultdb.db.connect import attach, connect_arguments, new_engine
from vaultdb.dev.binaries import WHEEL
from vaultdb.dev.certificates import Certificates
from vaultdb.dev.files import write_atomically
from vaultdb.dev.ports import free_ports
from vaultdb.dev.postgres import PostgresServer
from vaultdb.dev.process import wait_until
from vaultdb.settings import DatabaseSettings

PASSWORD = secrets.token_urlsafe(16)
WHO = sa.text("SELECT session_user")
HBA = "hostssl all {login} 127.0.0.1/32 {method}\n"


class TlsPostgres:
    """A server with a login `app`, and knobs."""

    def __init__(self, server: PostgresServer, authority: Authority) -> None:
        self.server = server
        self.authority = authority
        self.admin = psycopg.connect(server.conninfo(), autocommit=True)
        self.admin.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
        self.admin.execute("CREATE ROLE second LOGIN")

    @property
    def major(self) -> int:
        return self.admin.info.server_version // 10000

    def change(
        self, *, hba: str = "", files: Files | None = None, crl: str = "", **options: str
    ) -> None:
        """Change what the server does from the next connection on."""
        folder = self.server.folder
        ca = folder / "clients.pem"
        write_atomically(ca, self.authority.certificate.read_bytes(), mode=0o644)
        options = {"ssl_ca_file": str(ca)} | options
        if crl:
            write_atomically(folder / "crl.pem", crl, mode=0o644)
            options["ssl_crl_file"] = str(folder / "crl.pem")
        if files is not None:
            write_atomically(folder / "server.pem", files.certificate.read_bytes(), mode=0o644)
            (folder / "server.key").write_bytes(files.key.read_bytes())
        if hba:
            admin = HBA.format(login="vaultdb_admin", method="scram-sha-256")
            write_atomically(folder / "pg_hba.conf", admin + hba, mode=0o644)
        with (folder / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in options.items())
        self._reload(self._signal)

    def reset(self) -> None:
        """Undo every change."""
        self._reload(self.server.reload)

    def stop(self) -> None:
        self.admin.close()
        self.server.stop()

    def settings(self, **changes: Any) -> DatabaseSettings:
        """Return settings with which `app` logs in by password over verified TLS."""
        values: dict[str, Any] = {
            "url": self.url(),
            "sslrootcert": self.server.certificates.authority,
            "password": PASSWORD,
        }
        chosen = {key: value for key, value in (values | changes).items() if value is not None}
        return DatabaseSettings.model_validate(chosen)

    def url(self, query: str = "", *, login: str = "app", host: str = "127.0.0.1") -> str:
        return f"postgresql://{login}@{host}:{self.server.port}/postgres?{query}"

    def _signal(self) -> None:
        identity = self.server.process()
        assert identity is not None
        identity.signal(signal.SIGHUP)

    def _reload(self, ask: Callable[[], None]) -> None:
        def loaded() -> Any:
            return self.admin.execute("SELECT pg_conf_load_time()").fetchone()

        before = loaded()
        ask()
        assert wait_until(lambda: loaded() != before, seconds=5)


@pytest.fixture(scope="session")
def client_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority whose client certificates the server accepts."""
    return Authority(tmp_path_factory.mktemp("authority"), "clients")


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("authority"), "strangers")


@pytest.fixture(scope="session")
def tls_machine(
    server_folder: Path, certificates: Certificates, client_authority: Authority
) -> Iterator[TlsPostgres]:
    """A PostgreSQL of the machine (15 on Debian 12)."""
    running = _start(server_folder / "transport-machine", certificates, client_authority)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def tls_wheel(
    server_folder: Path, certificates: Certificates, client_authority: Authority
) -> Iterator[TlsPostgres]:
    """A PostgreSQL 17, of the wheel."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("VAULTDB_DEV_POSTGRES", WHEEL)
        running = _start(server_folder / "transport-wheel", certificates, client_authority)
    yield running
    running.stop()


def _start(folder: Path, certificates: Certificates, authority: Authority) -> TlsPostgres:
    password = secrets.token_urlsafe(16)
    server = PostgresServer(folder, free_ports(1)[0], certificates, password, throwaway=True)
    try:
        server.start()
        return TlsPostgres(server, authority)
    except BaseException:
        server.stop()
        raise


@pytest.fixture(params=["machine", "wheel"])
def tls_postgres(request: pytest.FixtureRequest) -> Iterator[TlsPostgres]:
    """Each of the two in turn, with every change undone afterwards."""
    running: TlsPostgres = request.getfixturevalue(f"tls_{request.param}")
    yield running
    running.reset()


Login = Callable[[DatabaseSettings], Any]


@pytest.fixture(params=["sync", "async"])
def log_in(request: pytest.FixtureRequest) -> Login:
    """Connect once with these settings and return who it was; by each kind of engine."""
    return log_in_sync if request.param == "sync" else log_in_async


def log_in_sync(settings: DatabaseSettings) -> Any:
    with new_engine(settings).connect() as connection:
        return connection.scalar(WHO)


def log_in_async(settings: DatabaseSettings) -> Any:
    import asyncio

    async def run() -> Any:
        url, arguments = connect_arguments(settings, is_async=True)
        engine = create_async_engine(url, connect_args=arguments, poolclass=sa.NullPool)
        attach(engine.sync_engine, settings)
        async with engine.connect() as connection:
            return await connection.scalar(WHO)

    return asyncio.run(run())


def refusal(log_in: Login, settings: DatabaseSettings) -> str:
    """Return the text of a refused login: one line, and no secret."""
    from vaultdb.errors import VaultDBError

    with pytest.raises((sa.exc.OperationalError, VaultDBError)) as caught:
        log_in(settings)
    error = caught.value
    text = str(error.orig) if isinstance(error, sa.exc.OperationalError) else str(error)
    assert "\n" not in text
    assert PASSWORD not in repr(error)
    assert str(error).startswith(("(psycopg.OperationalError) ", text))
    return text
