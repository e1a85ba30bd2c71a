"""The user that PostgreSQL runs as: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaultdb.errors import DevStackError

CANDIDATES = ("postgres", "_postgres", "nobody", "daemon")


@dataclass(frozen=True, slots=True)
class Account:
    """An unprivileged user and its primary group."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """Return what makes subprocess become this user, and nobody else's group member."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def may_enter(self, folder: Path) -> bool:
        """Whether this user can reach `folder`: asked of the kernel, so ACLs count too."""
        probe = subprocess.run(
            ["/bin/sh", "-c", 'test -x "$1"', "sh", str(folder)],
            cwd="/",
            check=False,
            **self.popen_arguments(),
        )
        return probe.returncode == 0

    def own(self, path: Path) -> None:
        """Give `path` to this user."""
        shutil.chown(path, self.uid, self.gid)


def unprivileged_account() -> Account | None:
    """Return the user to drop to when we are root, None when we are an ordinary user."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise DevStackError(
        "postgresql refuses to run as root and no unprivileged user exists: "
        f"create one of {', '.join(CANDIDATES)}, or run as an ordinary user"
    )


def may_enter(folder: Path, account: Account | None) -> bool:
    """Whether the server's user can reach `folder`; ourselves when `account` is None."""
    return os.access(folder, os.X_OK) if account is None else account.may_enter(folder)
