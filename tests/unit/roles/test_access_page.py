"""docs/reference/access.md: its code runs, its links lead somewhere."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.documents import ROOT, Reader, blocks, broken_links

PAGE = ROOT / "docs/reference/access.md"


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Reader(PAGE, tmp_path, monkeypatch)) as reader:
        for block in blocks(PAGE):
            reader.run(block)


def test_links_lead_somewhere() -> None:
    assert broken_links(PAGE) == []
