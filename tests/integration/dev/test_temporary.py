"""A stack among the temporary files goes away, also when its process could not see to it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.integration.dev.test_up_and_down import pids
from vaultdb.dev.process import start_time, this_process, wait_until, write_record
from vaultdb.dev.stack import DevStack
from vaultdb.dev.temporary import OWNER, temporary_stack

KEPT_OPEN = """
import time
from vaultdb.dev.temporary import temporary_stack
with temporary_stack():
    print("up", flush=True)
    time.sleep(120)
"""


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch, server_folder: Path) -> Path:
    folder = Path(tempfile.mkdtemp(dir=server_folder))
    folder.chmod(0o711)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_what_a_killed_process_left_is_stopped_and_deleted_by_the_next(temporary: Path):
    command = [sys.executable, "-c", KEPT_OPEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "up\n"
        (abandoned,) = temporary.iterdir()
        servers = [pid for pid in pids(DevStack(abandoned)) if pid is not None]
        assert len(servers) == 2
        started.kill()
    with temporary_stack() as stack:
        assert not abandoned.exists()
        assert wait_until(lambda: not any(map(start_time, servers)), seconds=10)
        assert all(server.ready for server in stack.status())
    assert list(temporary.iterdir()) == []


def test_what_is_in_use_or_kept_or_of_somebody_else_stays(temporary: Path):
    in_use, kept, strange, link = (temporary / f"vaultdb-{name}" for name in "abcd")
    for folder in (in_use, kept, strange):
        folder.mkdir()
    write_record(in_use / OWNER, this_process())
    (kept / "state.json").write_text("{}")
    (strange / OWNER).write_text("no record")
    link.symlink_to(in_use)
    with temporary_stack(temporary / "own"):
        pass
    with temporary_stack(keep=True) as stack:
        pass
    try:
        assert not (stack.folder.root / OWNER).exists()
        assert all(folder.exists() for folder in (in_use, kept, strange, link))
    finally:
        stack.reset()
