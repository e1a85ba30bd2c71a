"""A dev stack that goes away again, whatever happens in between."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from vaultdb.dev.stack import DevStack


@contextlib.contextmanager
def temporary_stack(folder: Path | None = None, *, keep: bool = False) -> Iterator[DevStack]:
    """Start both servers for a block, then stop them and delete everything they hold.

    Args:
        folder: the state folder, new or empty; None makes one among the temporary files.
        keep: leave the servers running when the block ends well; after an error, and after a
            start that did not succeed, they go all the same.

    """
    root = folder or Path(tempfile.mkdtemp(prefix="vaultdb-"))
    stack = DevStack(root)
    kept = False
    try:
        stack.up()
        yield stack
        kept = keep
    finally:
        if not kept:
            with _uninterrupted():
                stack.reset()
                if folder is None:
                    shutil.rmtree(root, ignore_errors=True)


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
