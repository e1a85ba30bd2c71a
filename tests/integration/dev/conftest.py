"""Dev stacks for tests, in folders with a name that needs quoting everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vaultdb.dev.stack import DevStack

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def vaultdb() -> Command:
    """Run the installed command."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name("vaultdb"), *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def stack() -> Iterator[DevStack]:
    """A stack that was never up; whatever runs of it in the end is stopped."""
    parent = Path(tempfile.mkdtemp(prefix="vaultdb-test-"))
    parent.chmod(0o711)
    created = DevStack(parent / "it's a state")
    yield created
    created.reset()
    shutil.rmtree(parent)


@pytest.fixture(scope="session")
def shared_stack() -> Iterator[DevStack]:
    """A stack for many tests; take it as ``running``."""
    parent = Path(tempfile.mkdtemp(prefix="vaultdb-test-"))
    parent.chmod(0o711)
    created = DevStack(parent / "it's a state")
    yield created
    created.reset()
    shutil.rmtree(parent)


@pytest.fixture
def running(shared_stack: DevStack) -> DevStack:
    """A stack that is up, with data in it; a test may break it in ways that ``up`` mends."""
    shared_stack.up()
    return shared_stack
