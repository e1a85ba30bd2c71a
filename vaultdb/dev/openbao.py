"""A private OpenBao (or Vault) server: make it, start it, ask whether it works, stop it."""

from __future__ import annotations

import secrets
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from vaultdb.dev import manual_seal
from vaultdb.dev.binaries import VaultBinary, find_vault
from vaultdb.dev.certificates import Certificates
from vaultdb.dev.files import tail, write_atomically
from vaultdb.dev.openbao_config import (
    ADMIN,
    PASSWORD_VARIABLE,
    Storage,
    VaultFiles,
    render_server,
)
from vaultdb.dev.ports import LOOPBACK
from vaultdb.dev.process import (
    ProcessIdentity,
    launch,
    read_record,
    stop_if_stuck,
    terminate,
    wait_until,
)
from vaultdb.dev.vault_api import READY_TIMEOUT_SECONDS, VaultApi
from vaultdb.errors import DevStackError

SEAL_KEY_BYTES = 32  # what the static seal asks for: AES-256
START_SECONDS = 60.0


@dataclass(slots=True)
class OpenBaoServer:
    """A Vault-compatible server whose files all lie in `folder`.

    `password` is the administrator's and secret.
    """

    folder: Path
    port: int
    cluster_port: int
    certificates: Certificates
    password: str
    storage: Storage = Storage.RAFT

    def __repr__(self) -> str:
        return f"OpenBaoServer({str(self.folder)!r}, port={self.port})"

    @property
    def files(self) -> VaultFiles:
        """Where everything lies."""
        return VaultFiles(self.folder)

    @property
    def address(self) -> str:
        """The https address of the API."""
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def initialised(self) -> bool:
        """Whether the storage is there and was seen to be complete."""
        return self.files.initialised.exists() and (
            self.storage is not Storage.RAFT or (self.files.data / "vault.db").exists()
        )

    def api(self, *, timeout: float = 5.0) -> VaultApi:
        """Return the API, not logged in."""
        return VaultApi(self.address, self.certificates.authority, timeout=timeout)

    def admin(self) -> VaultApi:
        """Return the API with an administrator's token."""
        return self.api().login(ADMIN, self.password)

    def process(self) -> ProcessIdentity | None:
        """Return the running server's identity, None when it does not run."""
        identity = read_record(self.files.record)
        return identity if identity is not None and identity.alive() else None

    def ready(self) -> bool:
        """Whether a login works: it writes storage and the audit log, a health page does not."""
        try:
            self.api(timeout=READY_TIMEOUT_SECONDS).login(ADMIN, self.password)
        except DevStackError:
            return False
        return True

    def start(self) -> None:
        """Start the server unless it runs, and wait until an administrator can log in."""
        stop_if_stuck(self)
        if self.process() is None:
            binary = find_vault()
            self._prepare(binary)
            self._launch(binary)
            if not binary.self_initialises:
                manual_seal.open_server(self.files, self.api(), self.password, self.process)
        if not wait_until(self._settled, seconds=START_SECONDS) or self.process() is None:
            log = self.files.log
            raise DevStackError(f"openbao does not start, see {log}:\n{tail(log)}")
        self.files.initialised.touch()

    def stop(self) -> None:
        """Stop the server and wait until it is gone."""
        if (identity := self.process()) is not None:
            terminate(identity)
        self.files.record.unlink(missing_ok=True)

    def reload(self) -> None:
        """Make a running server read its certificate again."""
        if (identity := self.process()) is not None:
            identity.signal(signal.SIGHUP)

    def _settled(self) -> bool:
        return self.process() is None or self.ready()

    def _prepare(self, binary: VaultBinary) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.storage is Storage.MEMORY or not self.initialised:
            self.files.initialised.unlink(missing_ok=True)
            # a self-init that did not end poisons the storage: every later start refuses to unseal
            shutil.rmtree(self.files.data, ignore_errors=True)
            write_atomically(self.files.seal_key, secrets.token_bytes(SEAL_KEY_BYTES))
            self.files.unseal_key.unlink(missing_ok=True)
        self.files.data.mkdir(exist_ok=True, mode=0o700)
        configuration = render_server(
            self.files,
            self.certificates,
            storage=self.storage,
            port=self.port,
            cluster_port=self.cluster_port,
            self_initialise=binary.self_initialises,
        )
        write_atomically(self.files.config, configuration)

    def _launch(self, binary: VaultBinary) -> None:
        first = not self.initialised
        launch(
            [str(binary.path), "server", "-config", str(self.files.config)],
            record=self.files.record,
            log=self.files.log,
            environment={PASSWORD_VARIABLE: self.password} if first else None,
        )
