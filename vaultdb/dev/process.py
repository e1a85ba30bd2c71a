"""Start a server that outlives us, know it again later, and never signal anybody else's.

A process id alone is no identity: the kernel gives it to the next process. A record therefore
holds the id and the start time; both must match before a signal is sent.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from vaultdb.dev.account import Account
from vaultdb.dev.files import write_atomically
from vaultdb.errors import DevStackError

POLL_SECONDS = 0.02
STUCK_SECONDS = 15.0

# The child waits for our word before it becomes the server: a record exists before a server does,
# and a parent killed in between leaves no server behind.
_GATE = 'read -r _ && exec "$@" </dev/null'

# Servers that are children of this process: it must reap them, or they stay as zombies.
_children: set[int] = set()


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process id together with the moment that process started."""

    pid: int
    started: str

    def alive(self) -> bool:
        """Whether this very process still runs."""
        _reap(self.pid)
        return start_time(self.pid) == self.started

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this very process; do nothing when it is gone."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start_time(pid: int) -> str | None:
    """Return when process `pid` started, or None when it is gone or a zombie."""
    if sys.platform == "linux":
        return _start_time_linux(pid)
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = shown.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def _start_time_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # the command name may hold spaces and brackets: fields are counted from the last bracket
    fields = stat[stat.rindex(b")") + 2 :].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if fields[0] in b"ZX" else f"{boot}:{fields[19].decode()}"


def this_process() -> ProcessIdentity:
    """Return our own identity."""
    return ProcessIdentity(os.getpid(), start_time(os.getpid()) or "")


def write_record(path: Path, identity: ProcessIdentity) -> None:
    """Write a process record, for `read_record`."""
    write_atomically(path, json.dumps(asdict(identity)))


def read_record(path: Path) -> ProcessIdentity | None:
    """Read a process record; None when it is missing or cut off."""
    try:
        return ProcessIdentity(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def launch(
    arguments: Sequence[str],
    *,
    record: Path,
    log: Path,
    account: Account | None = None,
    environment: Mapping[str, str] | None = None,
) -> ProcessIdentity:
    """Start a server in its own session, recorded before it runs.

    `account` is the unprivileged user to become, `log` gets both output streams.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            ["/bin/sh", "-c", _GATE, "sh", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
            env=dict(os.environ) | dict(environment or {}),
            **(account.popen_arguments() if account else {}),
        )
    started = start_time(child.pid)
    if started is None:
        raise DevStackError(f"cannot start {arguments[0]}: see {log}")
    identity = ProcessIdentity(child.pid, started)
    write_record(record, identity)
    _children.add(child.pid)
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        child.stdin.write(b"go\n")
        child.stdin.close()
    child.returncode = 0  # it is to outlive us: Popen's finaliser must not complain about that
    return identity


def _reap(pid: int) -> None:
    if pid in _children:
        with contextlib.suppress(ChildProcessError):
            ended, _ = os.waitpid(pid, os.WNOHANG)
            if ended:
                _children.discard(pid)


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Poll `condition` until it holds; return False when `seconds` pass first."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def terminate(
    identity: ProcessIdentity, *, request: signal.Signals = signal.SIGTERM, patience: float = 15.0
) -> None:
    """Ask a process to end, insist after `patience` seconds, and wait until it is gone."""
    identity.signal(signal.SIGCONT)
    identity.signal(request)
    if not wait_until(lambda: not identity.alive(), seconds=patience):
        identity.signal(signal.SIGKILL)
        wait_until(lambda: not identity.alive(), seconds=patience)


class Server(Protocol):
    """A private server."""

    def process(self) -> ProcessIdentity | None:
        """Return who runs, None when nobody does."""
        ...

    def ready(self) -> bool:
        """Whether an authenticated call works."""
        ...

    def start(self) -> None:
        """Start it unless it runs, and wait until it is ready."""
        ...

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        ...


def stop_if_stuck(server: Server) -> None:
    """Stop a server that runs but does not answer: frozen, sealed, or out of files.

    One whose start was cut short from outside may still be busy with it, hence the patience.
    """
    if not wait_until(lambda: server.process() is None or server.ready(), seconds=STUCK_SECONDS):
        server.stop()
