"""docs/reference/migrations.md names every operation and every rule, and its examples hold."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from alembic.operations import Operations

from tests.documents import ROOT
from tests.unit.alembic_ops.revisions import PATIENT, look_at
from vaultdb.alembic import operations
from vaultdb.alembic.lints import REMEDIES

PAGE = (ROOT / "docs/reference/migrations.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### `([a-z-]+)`\n(.*?)(?=^###|\Z)", PAGE, re.MULTILINE | re.DOTALL))
OURS = sorted(
    {
        getattr(operations, name).opname
        for name in operations.__all__
        if hasattr(getattr(operations, name), "opname")
    }
)


def examples(rule: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", SECTIONS[rule], re.MULTILINE | re.DOTALL)


def test_every_rule_has_a_section_with_a_bad_and_a_good_example():
    assert SECTIONS.keys() == REMEDIES.keys()
    assert all(len(examples(rule)) == 2 for rule in SECTIONS)


@pytest.mark.parametrize("rule", sorted(REMEDIES.keys() - {"undeclared-access"}))
def test_the_bad_example_is_found_and_the_good_one_is_not(tmp_path: Path, rule: str):
    bad, good = examples(rule)
    assert [each.rule for each in look_at(tmp_path / "bad", PATIENT, bad)] == [rule]
    assert look_at(tmp_path / "good", PATIENT, good) == []


@pytest.mark.parametrize("name", OURS)
def test_every_operation_is_listed_with_its_parameters(name: str):
    shown = re.search(rf"`op\.{name}\((.*?)\)`", PAGE)
    assert shown is not None
    parameters = [part.split("=")[0].strip() for part in shown[1].split(",")]
    real = [
        each for each in inspect.signature(getattr(Operations, name)).parameters if each != "self"
    ]
    assert [each for each in parameters if each != "*"] == real
