"""Both private servers as one: up, down, status, reset.

Every step of `up` can be repeated, and what a killed `up` has left is finished, or thrown away
when it cannot be: nobody was told about it yet.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from vaultdb.dev.certificates import Certificates, ensure_certificates
from vaultdb.dev.databases import ENGINE, LOGINS, create_database, set_up_database
from vaultdb.dev.files import write_atomically
from vaultdb.dev.openbao import OpenBaoServer
from vaultdb.dev.ports import LOOPBACK, free_ports, is_free
from vaultdb.dev.postgres import ADMIN, PostgresServer
from vaultdb.dev.process import Server
from vaultdb.dev.settings_file import (
    ADMINISTRATOR,
    DATABASE,
    VAULT_ROLES,
    database_url,
    password_name,
    render_settings,
    secret_id_name,
)
from vaultdb.dev.state import DevState, StateFolder
from vaultdb.dev.vault_api import VaultApi
from vaultdb.errors import DevStackError
from vaultdb.provision.secret_ids import AppRole, issue_secret_id
from vaultdb.provision.vault_setup import vault
from vaultdb.provision.vault_spec import ROLES, CertificateSpec, LeaseSpec, VaultSpec

PROVISIONING = 3
"""Raised when roles or policies change, so that the next `up` applies them."""

PORT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How one server is; `ready` means that an authenticated call works."""

    name: str
    address: str
    pid: int | None
    ready: bool


class DevStack:
    """A private OpenBao and a private PostgreSQL in one state folder."""

    def __init__(self, root: Path) -> None:
        self.folder = StateFolder(root.absolute())

    def up(self) -> DevState:
        """Start what does not run, set up what is missing, and return when both are ready."""
        with self.folder.locked():
            self.folder.read_or_create()
            self.folder.prepare()
            for _ in range(PORT_ATTEMPTS):
                state = self._with_free_ports(self.folder.read_or_create())
                try:
                    self._start(state)
                except DevStackError:
                    if self._ports_stolen(state):
                        continue
                    raise
                return self._provision(state)
            raise DevStackError("other programs keep taking the ports: try again")

    def exists(self) -> bool:
        """Return whether an `up` has begun a stack in the folder."""
        return self.folder.read() is not None

    def down(self) -> bool:
        """Stop both servers; their data stays. False when there is no stack."""
        if not self.exists():
            return False
        with self.folder.locked():
            self._stop()
        return True

    def reset(self) -> None:
        """Stop both servers and delete everything they hold, keys included.

        In a folder that holds no stack nothing is deleted.
        """
        if not self.exists():
            return
        with self.folder.locked():
            self._stop()
            self.folder.delete()

    def status(self) -> list[ServerStatus]:
        """Return how both servers are; empty when there is no stack."""
        state = self.folder.read()
        if state is None:
            return []
        return [
            _status("openbao", self.openbao(state), f"https://{LOOPBACK}:{state.vault_port}"),
            _status("postgresql", self.postgres(state), f"{LOOPBACK}:{state.postgres_port}"),
        ]

    def environment(self) -> dict[str, str]:
        """Return the variables that make the other commands use this stack."""
        if not self.folder.settings.exists():
            raise DevStackError(f"no dev stack in {self.folder.root}: run vaultdb dev up")
        return {
            "VAULTDB_CONFIG": str(self.folder.settings),
            "VAULTDB_DEV_STATE": str(self.folder.root),
        }

    def exports(self) -> str:
        """Return the same as lines for a POSIX shell."""
        lines = (f"export {k}={shlex.quote(v)}" for k, v in self.environment().items())
        return "\n".join(lines) + "\n"

    def openbao(self, state: DevState) -> OpenBaoServer:
        """Return this stack's OpenBao, running or not."""
        return OpenBaoServer(
            self.folder.openbao,
            state.vault_port,
            state.cluster_port,
            Certificates(self.folder.tls),
            self.folder.secret("openbao-admin.password"),
        )

    def postgres(self, state: DevState) -> PostgresServer:
        """Return this stack's PostgreSQL, running or not."""
        return PostgresServer(
            self.folder.postgres.resolve(),
            state.postgres_port,
            Certificates(self.folder.tls),
            self.folder.secret(password_name(ADMIN)),
        )

    def _stop(self) -> None:
        if (state := self.folder.read()) is not None:
            _together(*(server.stop for server in self._servers(state)))

    def _servers(self, state: DevState) -> tuple[OpenBaoServer, PostgresServer]:
        return self.openbao(state), self.postgres(state)

    def _with_free_ports(self, state: DevState) -> DevState:
        """Give a server that does not run another port when a stranger sits on its own."""
        openbao, postgres = self._servers(state)
        changed = state
        if openbao.process() is None:
            changed = replace(
                changed,
                vault_port=_keep_or_replace(changed.vault_port),
                cluster_port=_keep_or_replace(changed.cluster_port),
            )
        if postgres.process() is None:
            changed = replace(changed, postgres_port=_keep_or_replace(changed.postgres_port))
        if changed != state:
            self.folder.write(changed)
        return changed

    def _ports_stolen(self, state: DevState) -> bool:
        return self._with_free_ports(state) != state

    def _start(self, state: DevState) -> None:
        _, renewed = ensure_certificates(self.folder.tls)
        openbao, postgres = self._servers(state)
        if state.provisioned and not openbao.initialised:
            raise DevStackError(
                f"the storage of openbao in {openbao.folder} is gone, and with it every key: "
                "run vaultdb dev reset"
            )
        if renewed:
            _together(openbao.reload, postgres.reload)
        _together(openbao.start, postgres.start)

    def _provision(self, state: DevState) -> DevState:
        if state.provisioned != PROVISIONING:
            self._set_up_postgres(state)  # first: Vault tries the login that it is given
            admin = self.openbao(state).admin()
            self._set_up_vault(state, admin)
            self._issue_logins(admin)
            state = replace(state, provisioned=PROVISIONING)
            self._write_settings(state)
            self.folder.write(state)
        elif not self._settings_current(state):
            # PostgreSQL has moved to another port, and Vault must follow
            self._set_up_vault(state, self.openbao(state).admin())
            self._write_settings(state)
        return state

    def _set_up_postgres(self, state: DevState) -> None:
        server = self.postgres(state)
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            create_database(connection, DATABASE)
        logins = (*LOGINS, ENGINE)
        passwords = {login: self.folder.secret(password_name(login)) for login in logins}
        set_up_database(server.conninfo(DATABASE), passwords)

    def _set_up_vault(self, state: DevState, admin: VaultApi) -> None:
        query = urlencode({"sslmode": "verify-full", "sslrootcert": self.folder.tls / "ca.pem"})
        leases = LeaseSpec(
            f"{database_url(state)}?{query}",
            password=self.folder.secret(password_name(ENGINE)),
            replace=True,
        )
        with closing(admin.client()) as client:
            vault(
                client, VaultSpec(leases=leases, certificates=CertificateSpec(), tenant_keks=True)
            )

    def _issue_logins(self, admin: VaultApi) -> None:
        with closing(admin.client()) as client:
            for role in ROLES:
                self._keep(role, issue_secret_id(client, role, wrap_ttl=None))
        self._keep(ADMINISTRATOR, admin.administrator_approle())

    def _keep(self, role: str, login: AppRole) -> None:
        write_atomically(self.folder.secret_file(f"{role}.role_id"), login.role_id)
        write_atomically(self.folder.secret_file(secret_id_name(role)), login.secret_id)

    def _settings(self, state: DevState) -> str:
        role_ids = {
            role: self.folder.secret_file(f"{role}.role_id").read_text() for role in VAULT_ROLES
        }
        return render_settings(self.folder, state, role_ids)

    def _settings_current(self, state: DevState) -> bool:
        path = self.folder.settings
        return path.exists() and path.read_text() == self._settings(state)

    def _write_settings(self, state: DevState) -> None:
        write_atomically(self.folder.settings, self._settings(state))


def _keep_or_replace(port: int) -> int:
    return port if is_free(port) else free_ports(1)[0]


def _status(name: str, server: Server, address: str) -> ServerStatus:
    identity = server.process()
    ready = identity is not None and server.ready()
    return ServerStatus(name, address, identity.pid if identity else None, ready)


def _together(*actions: Callable[[], object]) -> None:
    """Run `actions` side by side; wait for all, then raise the first failure."""
    with ThreadPoolExecutor(len(actions)) as pool:
        futures = [pool.submit(action) for action in actions]
        try:
            wait(futures)
        except BaseException:
            # interrupted: a server that is just being started must be there for whoever stops it
            wait(futures)
            raise
    for future in futures:
        future.result()
