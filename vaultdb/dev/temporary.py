"""A dev stack that goes away again, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from vaultdb.dev.process import read_record, this_process, write_record
from vaultdb.dev.stack import DevStack
from vaultdb.errors import DevStackError

PREFIX = "vaultdb-"
OWNER = "owner.json"
"""Who started a stack among the temporary files, until it is kept or deleted."""


@contextlib.contextmanager
def temporary_stack(folder: Path | None = None, *, keep: bool = False) -> Iterator[DevStack]:
    """Start both servers for a block, then stop them and delete everything they hold.

    What a process that was killed has left among the temporary files is deleted first.

    Args:
        folder: the state folder, new or empty; None makes one among the temporary files.
        keep: leave the servers running when the block ends well; after an error, and after a
            start that did not succeed, they go all the same.

    """
    if folder is None:
        _delete_abandoned()
    root = folder or _new_folder()
    stack = DevStack(root)
    kept = False
    try:
        stack.up()
        yield stack
        kept = keep
    finally:
        if kept:
            (root / OWNER).unlink(missing_ok=True)
        else:
            with _uninterrupted():
                stack.reset()
                if folder is None:
                    shutil.rmtree(root, ignore_errors=True)


def _new_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    write_record(folder / OWNER, this_process())
    return folder


def _delete_abandoned() -> None:
    """Stop and delete what is left of stacks of this user whose process is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        # Others may write here, too: what is not our own folder is not looked into.
        with contextlib.suppress(OSError, DevStackError):
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            owner = read_record(folder / OWNER)
            if owner is not None and not owner.alive():
                DevStack(folder).reset()
                shutil.rmtree(folder)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let an impatient second Ctrl-C not leave servers behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
