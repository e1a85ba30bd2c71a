"""Run the code blocks of a Markdown document, in order, as one reader would.

``python`` blocks share one namespace; one that begins with ``# NAME.py`` is that file, which the
commands can import too. ``console`` blocks share one shell environment; what stands
below a ``$ `` line is compared with what the command prints: ``…`` is anything within a line, a line
of its own that says ``…`` is any number of lines. A block after ``<!-- … runs last. -->`` does.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

import pytest
from sqlalchemy import Engine

ROOT = Path(__file__).parents[1]
FENCE = re.compile(
    r"^(?P<last><!--[^>]*runs last\. -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"# (?P<name>\w+)\.py\n")
INSTALL = re.compile(r'pip install "?vaultdb-sqlalchemy(\[(?P<extra>\w+)\])?"?')


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    line: int
    last: bool = False


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    found = [
        Block(m["language"], m["code"], text.count("\n", 0, m.start("code")), bool(m["last"]))
        for m in FENCE.finditer(text)
    ]
    return sorted(found, key=lambda block: block.last)


class Reader:
    """Somebody who types in what the document says."""

    def __init__(self, document: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.document = document
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.shell = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
        self.module = types.ModuleType(f"read_{document.stem.lower()}")
        self.imported: list[str] = []

    def run(self, block: Block) -> None:
        getattr(self, f"_{block.language}")(block)

    def close(self) -> None:
        """Do what the end of a reader's program does."""
        for value in vars(self.module).values():
            if isinstance(value, Engine):
                value.dispose()
        for name in (self.module.__name__, *self.imported):
            sys.modules.pop(name, None)

    def _python(self, block: Block) -> None:
        if (file := FILE.match(block.code)) is not None:
            self._save_and_import(file["name"], block.code)
            return
        # padded, so that a traceback shows the document's own line
        code = "\n" * block.line + block.code
        sys.modules[self.module.__name__] = self.module  # where SQLAlchemy resolves annotations
        exec(compile(code, str(self.document), "exec"), self.module.__dict__)

    def _save_and_import(self, name: str, code: str) -> None:
        (self.folder / f"{name}.py").write_text(code, encoding="utf-8")
        self.monkeypatch.syspath_prepend(self.folder)
        self.imported.append(name)
        module = importlib.import_module(name)
        vars(self.module).update({k: v for k, v in vars(module).items() if k[:2] != "__"})

    def _console(self, block: Block) -> None:
        for command, expected in _commands(block.code):
            if (install := INSTALL.fullmatch(command)) is not None:
                extras = distribution("vaultdb-sqlalchemy").metadata.get_all("Provides-Extra") or []
                assert install["extra"] is None or install["extra"] in extras
                continue
            printed = self._shell(command)
            assert re.fullmatch(_pattern(expected), printed), (
                f"{self.document.name}, block at line {block.line}: {command}\n"
                f"--- expected\n{expected}\n--- printed\n{printed}"
            )

    def _shell(self, command: str) -> str:
        exported = self.folder / "environment"
        done = subprocess.run(
            ["bash", "-c", f'set -e\n{command}\nenv -0 > "$DOCUMENT_ENVIRONMENT"'],
            cwd=self.folder,
            env={
                **self.shell,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "DOCUMENT_ENVIRONMENT": str(exported),
            },
            capture_output=True,  # apart: progress is shown on stderr
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        for entry in exported.read_text().rstrip("\0").split("\0"):
            name, _, value = entry.partition("=")
            if name.startswith("VAULTDB_"):
                self.shell[name] = value
                self.monkeypatch.setenv(name, value)  # for the python blocks
        return done.stdout.strip()


def _commands(code: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        lines = part.rstrip().split("\n")
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        yield "\n".join(lines[:count]), "\n".join(lines[count:])


def _pattern(expected: str) -> str:
    pattern = r"\n".join(
        r"(?s:.*)" if line == "…" else re.escape(line).replace("…", ".*")
        for line in expected.split("\n")
    )
    return rf"{pattern}"


def broken_links(document: Path) -> list[str]:
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]+)?\)", text)
    return [
        path + anchor
        for path, anchor in targets
        if not _leads_somewhere(document.parent / path if path else document, anchor)
    ]


def _leads_somewhere(target: Path, anchor: str) -> bool:
    if not target.exists():
        return False
    if not anchor:
        return True
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return anchor[1:] in slugs
