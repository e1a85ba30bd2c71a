"""Every block of the README and of the tutorial does what it says; every link leads somewhere."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg.conninfo
import pytest

from tests.documents import ROOT, Block, Reader, blocks, broken_links
from vaultdb.crypto.limits import OVERHEAD
from vaultdb.dev.stack import DevStack
from vaultdb.settings import Settings

README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


class DevReader(Reader):
    """A reader who runs ``vaultdb dev up`` and can reach that PostgreSQL with psql."""

    def __init__(self, document: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(document, state, monkeypatch)
        self.shell["VAULTDB_DEV_STATE"] = str(state / "dev")

    def _console(self, block: Block) -> None:
        if "psql" in block.code:
            self._log_in_to_postgresql()
        super()._console(block)

    def _log_in_to_postgresql(self) -> None:
        stack = DevStack(Path(self.shell["VAULTDB_DEV_STATE"]))
        state = stack.folder.read()
        assert state is not None
        options = psycopg.conninfo.conninfo_to_dict(stack.postgres(state).conninfo("app"))
        names = {"dbname": "PGDATABASE", "channel_binding": "PGCHANNELBINDING"}
        for option, value in options.items():
            self.shell[names.get(option, f"PG{option.upper()}")] = str(value)

    def _toml(self, block: Block) -> None:
        file = self.folder / "vaultdb.toml"
        file.write_text(block.code)
        settings = Settings.load(file=file)
        assert settings.vault.addr is not None

    def _text(self, block: Block) -> None:
        (layout,) = re.findall(r"0xF6 .*", block.code)
        sizes = [int(size) for size in re.findall(r" (\d+)(?= \||$| \+)", layout)]
        assert sum(sizes) == OVERHEAD


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short path: UNIX sockets and PostgreSQL's own user must be able to use it."""
    folder = Path(tempfile.mkdtemp(prefix="vaultdb-doc-"))
    folder.chmod(0o711)
    yield folder
    DevStack(folder / "dev").reset()
    shutil.rmtree(folder)


@pytest.mark.parametrize("document", [README, TUTORIAL], ids=lambda path: path.stem)
def test_every_block_does_what_the_document_says(
    document: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = blocks(document)

    with closing(DevReader(document, state, monkeypatch)) as reader:
        for block in found:
            reader.run(block)

    assert len(found) >= 5


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    assert broken_links(document) == []


def test_the_index_lists_every_page_of_the_documentation() -> None:
    index = ROOT / "docs" / "index.md"
    text = index.read_text(encoding="utf-8")
    pages = {str(page.relative_to(index.parent)) for page in ROOT.glob("docs/**/*.md")}

    assert {page for page in pages if f"({page})" not in text} == {"index.md"}
