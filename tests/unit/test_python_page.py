"""docs/reference/python.md has every public name with its parameters, and its code runs."""

from __future__ import annotations

import inspect
import re
from contextlib import closing
from pathlib import Path

import pytest

import vaultdb
from tests.documents import ROOT, Reader, blocks
from vaultdb import errors

PAGE = ROOT / "docs/reference/python.md"
SECTION = re.compile(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(PAGE.read_text("utf-8")))
FUNCTIONS = sorted(SECTIONS.keys() - {"Settings"})


def test_every_public_name_has_a_section_or_is_in_the_table_of_errors():
    listed = re.findall(
        r"^\| `(\w+)` \| ", PAGE.read_text("utf-8").split("## Errors")[1], re.MULTILINE
    )
    assert set(listed) == set(errors.__all__)
    assert SECTIONS.keys() | set(listed) == set(vaultdb.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_parameter_is_named_in_the_section(name: str) -> None:
    for parameter in inspect.signature(getattr(vaultdb, name)).parameters:
        assert f"`{parameter}`" in SECTIONS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_table_names_a_parameter_that_does_not_exist(name: str) -> None:
    rows = re.findall(r"^\| (`.+?`) \| ", SECTIONS[name], re.MULTILINE)
    listed = {parameter for row in rows for parameter in re.findall(r"`(\w+)`", row)}
    assert listed <= inspect.signature(getattr(vaultdb, name)).parameters.keys()


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Reader(PAGE, tmp_path, monkeypatch)) as reader:
        for block in blocks(PAGE):
            reader.run(block)


def test_the_architecture_page_has_every_folder_of_the_package() -> None:
    text = (ROOT / "docs/explanation/architecture.md").read_text("utf-8")
    folders = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("vaultdb/*/__init__.py")}
    assert {folder for folder in folders if f"| `{folder}` |" not in text} == set()


def test_the_architecture_page_names_no_file_that_does_not_exist() -> None:
    text = (ROOT / "docs/explanation/architecture.md").read_text("utf-8")
    for path in re.findall(r"`([\w/]+(?:\.py|/))`", text):
        inside = path if path.startswith("vaultdb/") else f"vaultdb/{path}"
        assert (ROOT / inside).exists() or (ROOT / "vaultdb/orm" / path).exists(), path
