"""Write files so that a reader, or a process killed half-way, never sees half of one."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


def write_atomically(path: Path, content: str | bytes, *, mode: int = PRIVATE) -> None:
    """Replace `path` by `content` in one step, with exactly the permission bits `mode`."""
    data = content.encode() if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(data)
    draft.replace(path)


def tail(path: Path, lines: int = 12) -> str:
    """Return the last `lines` of a log, for an error message."""
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
