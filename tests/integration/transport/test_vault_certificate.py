"""Client certificates that Vault signs: in memory, renewed without a restart, safe for forks."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import vaultdb
from tests.fixtures.openbao import OpenBao
from tests.integration.transport.conftest import HBA, WHO, TlsPostgres
from vaultdb.db import connect
from vaultdb.db.client_certificate import ClientCertificate, attach_certificate
from vaultdb.db.connect import connect_arguments
from vaultdb.db.login.attach import attach_login
from vaultdb.db.login.fixed import FixedLogin
from vaultdb.db.tls import transport_for
from vaultdb.db.tls_check import check_transport
from vaultdb.db.url import normalise_url
from vaultdb.dev.files import write_atomically
from vaultdb.dev.process import wait_until
from vaultdb.errors import ConfigurationError, VaultDenied, VaultRejected
from vaultdb.settings import DatabaseSettings, Settings
from vaultdb.vault.client import VaultClient
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.login import TokenLogin
from vaultdb.vault.pki import CertificateRole

ROLE = "vaultdb-app"
SERIAL = sa.text("SELECT client_serial FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
NAME = sa.text("SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
CERT = HBA.format(login="app", method="cert")
BOTH = HBA.format(login="app", method="scram-sha-256 clientcert=verify-ca")


@dataclass
class Pki:
    """A mount of the PKI on the shared OpenBao."""

    bao: OpenBao
    mount: str
    authority: str

    def token(self) -> str:
        body = {"policies": [self.mount, "default"], "ttl": "5m"}
        answer = self.bao.admin.write("auth/token/create", **body)
        return str(answer["auth"]["client_token"])

    def client(self) -> VaultClient:
        token = self.token()
        endpoint = Endpoint(self.bao.addr, self.bao.server.certificates.authority)
        return VaultClient(endpoint, TokenLogin(lambda: token))

    def role(self, ttl: str) -> None:
        self.bao.admin.write(
            f"{self.mount}/roles/{ROLE}",
            allowed_domains=["app", ROLE],
            allow_bare_domains=True,
            enforce_hostnames=False,
            use_csr_sans=False,
            client_flag=True,
            server_flag=False,
            key_type="ec",
            key_bits=256,
            ttl=ttl,
            max_ttl="1h",
        )

    def settings(self, postgres: TlsPostgres, **changes: Any) -> DatabaseSettings:
        """Return settings with a certificate and no password."""
        values = {"password": None, "certificate_role": ROLE, "certificate_mount": self.mount}
        return postgres.settings(**(values | changes))


@pytest.fixture(scope="module")
def pki(openbao: OpenBao) -> Pki:
    admin, mount = openbao.admin, f"pki-{secrets.token_hex(4)}"
    admin.write(f"sys/mounts/{mount}", type="pki", config={"max_lease_ttl": "24h"})
    root = admin.write(
        f"{mount}/root/generate/internal", common_name="logins", key_type="ec", key_bits=256
    )
    rule = f'path "{mount}/sign/{ROLE}" {{ capabilities = ["update"] }}'
    admin.write(f"sys/policies/acl/{mount}", policy=rule)
    made = Pki(openbao, mount, root["data"]["certificate"] + "\n")
    made.role("10m")
    return made


@pytest.fixture
def postgres(tls_postgres: TlsPostgres, pki: Pki) -> TlsPostgres:
    """A server on which this PKI's certificates are the login `app`."""
    accept(tls_postgres, pki, CERT)
    return tls_postgres


def accept(postgres: TlsPostgres, pki: Pki, hba: str) -> None:
    file = postgres.server.folder / "pki.pem"
    write_atomically(file, pki.authority, mode=0o644)
    postgres.change(hba=hba, ssl_ca_file=str(file))


def prepared(engine: Any, given: DatabaseSettings, client: VaultClient) -> Any:
    """Do what `connect.attach` does, with a client of the test."""
    root = getattr(engine, "sync_engine", engine)
    check_transport(root, transport_for(normalise_url(given.url.get_secret_value()), given))
    attach_certificate(root, given, client)
    attach_login(root, FixedLogin(given))
    return engine


def new_engine(given: DatabaseSettings, client: VaultClient, **options: Any) -> sa.Engine:
    url, arguments = connect_arguments(given)
    options.setdefault("poolclass", sa.NullPool)
    return prepared(sa.create_engine(url, connect_args=arguments, **options), given, client)


@pytest.fixture
def client(pki: Pki) -> Iterator[VaultClient]:
    made = pki.client()
    yield made
    made.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_certificate_is_the_login(postgres: TlsPostgres, pki: Pki, client: VaultClient) -> None:
    engine = new_engine(pki.settings(postgres), client)
    with engine.connect() as connection:
        assert connection.scalar(WHO) == "app"
        assert connection.scalar(NAME) == "/CN=app"
    engine.dispose()


def test_the_certificate_is_the_login_under_asyncio(
    postgres: TlsPostgres, pki: Pki, client: VaultClient
) -> None:
    given = pki.settings(postgres)

    async def run() -> Any:
        url, arguments = connect_arguments(given, is_async=True)
        made = create_async_engine(url, connect_args=arguments, poolclass=sa.NullPool)
        engine = prepared(made, given, client)
        async with engine.connect() as connection:
            found = await connection.scalar(WHO)
        await engine.dispose()
        return found

    assert asyncio.run(run()) == "app"


def all_settings(pki: Pki, postgres: TlsPostgres) -> Settings:
    """Return what a user's file would say: Vault gives the certificate, and no key."""
    authority = pki.bao.server.certificates.authority
    vault = {"addr": pki.bao.addr, "ca_cert": authority, "auth": "token", "token": pki.token()}
    database = pki.settings(postgres).model_dump(exclude_unset=True)
    return Settings.model_validate({"keys": "memory", "database": database, "vault": vault})


def test_the_settings_are_enough(postgres: TlsPostgres, pki: Pki) -> None:
    given = all_settings(pki, postgres)
    engines = [vaultdb.create_engine(settings=given), connect.new_engine(given)]
    for engine in engines:
        with engine.connect() as connection:
            assert connection.scalar(WHO) == "app"
        engine.dispose()
    with pytest.raises(ConfigurationError, match="need the settings of vault, too"):
        connect.new_engine(given.database)


def test_the_settings_are_enough_under_asyncio(postgres: TlsPostgres, pki: Pki) -> None:
    async def run() -> Any:
        engine = vaultdb.create_async_engine(settings=all_settings(pki, postgres))
        async with engine.connect() as connection:
            found = await connection.scalar(WHO)
        await engine.dispose()
        return found

    assert asyncio.run(run()) == "app"


def test_a_leased_login_shows_a_certificate_of_the_role_beside_its_password(
    tls_postgres: TlsPostgres, pki: Pki, client: VaultClient
) -> None:
    accept(tls_postgres, pki, BOTH)
    given = tls_postgres.settings(certificate_role=ROLE, certificate_mount=pki.mount)
    leased = given.model_copy(update={"lease": "vaultdb-app-rw"})
    engine = new_engine(leased, client)
    with engine.connect() as connection:
        assert connection.scalar(WHO) == "app"
        assert connection.scalar(NAME) == f"/CN={ROLE}"
    engine.dispose()


def test_a_name_that_the_role_does_not_allow_is_refused_in_one_line(
    postgres: TlsPostgres, pki: Pki, client: VaultClient
) -> None:
    given = pki.settings(postgres, url=postgres.url(login="second"))
    with pytest.raises(
        VaultRejected, match=f"sign/{ROLE}: vault answered 400, the role does not allow this name"
    ) as caught:
        new_engine(given, client).connect()
    assert "\n" not in str(caught.value)


def test_a_role_that_the_policy_does_not_name_is_denied(
    postgres: TlsPostgres, pki: Pki, client: VaultClient
) -> None:
    given = pki.settings(postgres, certificate_role="another")
    with pytest.raises(VaultDenied, match="permission denied"):
        new_engine(given, client).connect()


def test_certificates_are_renewed_while_connections_live_on(
    postgres: TlsPostgres, pki: Pki, client: VaultClient
) -> None:
    pki.role("3s")  # a life of 33 s, of which 30 s are past, as vault dates certificates back
    try:
        engine = new_engine(pki.settings(postgres), client)
        with engine.connect() as old:
            first = old.scalar(SERIAL)
            begin = time.monotonic()
            seen = {first}
            while time.monotonic() - begin < 4:  # the first ends 3 s after it was issued
                with engine.connect() as new:
                    seen.add(new.scalar(SERIAL))
                time.sleep(0.2)
            assert len(seen) >= 2
            assert old.scalar(SERIAL) == first  # expired by now
        engine.dispose()
    finally:
        pki.role("10m")


def test_fifty_certificates_of_vault_leave_no_file_open(
    postgres: TlsPostgres, pki: Pki, client: VaultClient
) -> None:
    role = CertificateRole(client, pki.mount, ROLE)
    certificate = ClientCertificate(lambda: role.issue("app"), role.timeout)
    certificate.file()
    before = descriptors()
    for _ in range(50):
        certificate._held = None
        certificate.file()
    assert certificate.generation == 51
    assert descriptors() == before
    certificate.close()
    assert descriptors() == before - 1


def test_disposing_closes_the_file_and_the_next_connect_gets_another(
    postgres: TlsPostgres, pki: Pki, client: VaultClient
) -> None:
    client.log_in()
    engine = new_engine(pki.settings(postgres), client, poolclass=sa.QueuePool)
    serials = []
    counts = []
    for _ in range(3):
        with engine.connect() as connection:
            serials.append(connection.scalar(SERIAL))
        engine.dispose()
        counts.append(descriptors())
    assert len(set(serials)) == 3
    assert counts[0] == counts[2]


def test_a_connect_in_progress_keeps_its_files(
    postgres: TlsPostgres, pki: Pki, client: VaultClient
) -> None:
    client.log_in()
    held = threading.Event()
    with slow_relay(postgres.server.port, held) as port:
        url = f"postgresql://app@127.0.0.1:{port}/postgres"
        engine = new_engine(pki.settings(postgres, url=url), client)
        found: list[Any] = []

        def work() -> None:
            with engine.connect() as connection:
                found.append(connection.scalar(WHO))

        thread = threading.Thread(target=work)
        thread.start()
        assert wait_until(lambda: memory_files() > 0, seconds=5)
        time.sleep(0.2)  # libpq waits for the server's answer to its wish for TLS
        engine.dispose()  # nobody else holds the certificate now
        held.set()
        thread.join()
    assert found == ["app"]
    assert wait_until(lambda: memory_files() == 0, seconds=5)


def test_a_fork_has_the_certificate_and_renews_it_by_itself(
    postgres: TlsPostgres, pki: Pki, client: VaultClient
) -> None:
    engine = new_engine(pki.settings(postgres), client)
    with engine.connect() as connection:
        first = connection.scalar(SERIAL)

    def child() -> bool:
        with engine.connect() as connection:
            same = connection.scalar(SERIAL) == first
        engine.dispose()
        with engine.connect() as connection:
            return same and connection.scalar(SERIAL) != first

    assert in_child(child)
    with engine.connect() as connection:
        assert connection.scalar(SERIAL) == first
    engine.dispose()


def memory_files() -> int:
    names = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            names.append(str(entry.readlink()))
    return sum("memfd:vaultdb" in name for name in names)


def in_child(work: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@contextmanager
def slow_relay(target: int, go: threading.Event) -> Iterator[int]:
    """Pass bytes to and fro, the server's only when told: a connect waits in the middle."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, wait: threading.Event | None) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if wait is not None:
                    wait.wait(10)
                sink.sendall(data)

    def serve() -> None:
        near, _ = listener.accept()
        with near, socket.create_connection(("127.0.0.1", target)) as far:
            thread = threading.Thread(target=pump, args=(near, far, None))
            thread.start()
            pump(far, near, go)
            near.close()
            thread.join()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(5)
    listener.close()
