"""The one folder that holds a dev stack: its ports, secrets, certificates and servers."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

from vaultdb.dev.account import Account, may_enter, unprivileged_account
from vaultdb.dev.files import write_atomically
from vaultdb.dev.ports import free_ports
from vaultdb.errors import DevStackError

LOCK_SECONDS = 120.0
SECRET_BYTES = 24
PROJECT_MARKS = ("pyproject.toml", "vaultdb.toml", ".git", "setup.py", "setup.cfg")
CONTENT = ("postgres", "openbao", "tls", "secrets", "vaultdb.toml", "state.json", ".gitignore")
SYSTEM_FOLDERS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108  # a folder of our own in it


@dataclass(frozen=True, slots=True)
class DevState:
    """What a stack must remember; `provisioned` tells that it was once ready for use."""

    realm: str
    postgres_port: int
    vault_port: int
    cluster_port: int
    provisioned: int = 0


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Where a dev stack lies."""

    root: Path

    @property
    def settings(self) -> Path:
        """The settings file that `up` writes."""
        return self.root / "vaultdb.toml"

    @property
    def tls(self) -> Path:
        """The certificates."""
        return self.root / "tls"

    @property
    def openbao(self) -> Path:
        """OpenBao's files."""
        return self.root / "openbao"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's files; a link when its user cannot reach the state folder."""
        return self.root / "postgres"

    def prepare(self) -> None:
        """Create the folder, closed to other users but for the way through to PostgreSQL."""
        account = unprivileged_account()
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o711 if account else 0o700)
        write_atomically(self.root / ".gitignore", "*\n")
        (self.root / "secrets").mkdir(mode=0o700, exist_ok=True)
        if not self.postgres.exists():
            self.postgres.unlink(missing_ok=True)
            self._place_postgres(account)

    def _place_postgres(self, account: Account | None) -> None:
        if may_enter(self.root, account):
            _make_passable(self.postgres)
            return
        outside = self._outside()
        _make_passable(outside.parent)
        _make_passable(outside)
        self.postgres.symlink_to(outside)

    def _outside(self) -> Path:
        """Return a place of our own that PostgreSQL's user can reach when ours is under /root."""
        name = hashlib.sha256(str(self.root).encode()).hexdigest()[:16]
        base = next((f for f in SYSTEM_FOLDERS if os.access(f, os.W_OK)), SYSTEM_FOLDERS[-1])
        return base / "vaultdb-dev" / name

    def secret(self, name: str, make: Callable[[], str] | None = None) -> str:
        """Return a secret of this stack; made when it is missing, random unless `make` is given."""
        path = self.secret_file(name)
        if not path.exists():
            write_atomically(path, make() if make else secrets.token_urlsafe(SECRET_BYTES))
        return path.read_text()

    def secret_file(self, name: str) -> Path:
        """Return where a secret lies, mode 0600."""
        return self.root / "secrets" / name

    def read(self) -> DevState | None:
        """Return what the stack remembers; None when there is no stack."""
        try:
            return DevState(**json.loads((self.root / "state.json").read_text()))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError):
            raise DevStackError(
                f"{self.root / 'state.json'} is damaged or of another version: "
                f"delete the folder {self.root}"
            ) from None

    def read_or_create(self) -> DevState:
        """Return what the stack remembers, or begin a new one.

        Writing it makes the folder the stack's own: from then on `delete` may empty it. So it is
        the first thing that is written, and only where nothing of the user's would be overwritten.

        Raises:
            DevStackError: the folder holds files of somebody else under the names of ours.

        """
        if (found := self.read()) is not None:
            return found
        if taken := [name for name in CONTENT if os.path.lexists(self.root / name)]:
            (self.root / "lock").unlink(missing_ok=True)
            raise DevStackError(
                f"{self.root} is no dev stack and has a {taken[0]} of its own: "
                "choose another folder with --state"
            )
        state = DevState(str(uuid4()), *free_ports(3))
        self.write(state)
        return state

    def write(self, state: DevState) -> None:
        """Remember `state`."""
        write_atomically(self.root / "state.json", json.dumps(asdict(state), indent=2) + "\n")

    def delete(self) -> None:
        """Delete what a stack has put here, and nothing else."""
        if self.postgres.is_symlink():
            target = self.postgres.readlink()
            if target == self._outside():
                shutil.rmtree(target, ignore_errors=True)
            self.postgres.unlink()
        for name in CONTENT:
            path = self.root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        (self.root / "lock").unlink()
        with contextlib.suppress(OSError):  # the user keeps something of his own in it
            self.root.rmdir()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let one command at a time change this stack."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.root, os.W_OK | os.X_OK)
        except OSError:
            writable = False
        if not writable:
            raise DevStackError(f"cannot write to {self.root}: choose a folder with --state")
        with _lock(self.root / "lock"):
            yield


def _make_passable(folder: Path) -> None:
    """Make a folder that others may pass through but not list, whatever the umask is."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    deadline = time.monotonic() + LOCK_SECONDS
    while (handle := _try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise DevStackError(
                f"another vaultdb dev command has been busy with {path.parent} for "
                f"{LOCK_SECONDS:.0f} s: wait for it or end it"
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        os.close(handle)


def _try_lock(path: Path) -> int | None:
    path.parent.mkdir(exist_ok=True)  # a reset may just have removed it
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # a reset deletes the file: a lock on the deleted one keeps nobody out
        if os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)
    return None


def default_folder() -> Path:
    """Return `VAULTDB_DEV_STATE`, else `.vaultdb` in the project, else a folder of the user."""
    if chosen := os.environ.get("VAULTDB_DEV_STATE"):
        return Path(chosen).expanduser().absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if any((folder / mark).exists() for mark in PROJECT_MARKS):
            return folder / ".vaultdb"
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "vaultdb"
