"""The examples in docstrings are true: each is run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from typing import Any

import pytest

import vaultdb

FINDER = doctest.DocTestFinder(exclude_empty=True)


def examples() -> list[doctest.DocTest]:
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(vaultdb.__path__, "vaultdb.")
        if not found.name.startswith(("vaultdb._migrations", "vaultdb.cli"))
    ]
    return [test for module in modules for test in FINDER.find(module) if test.examples]


EXAMPLES = examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_the_example_of_a_docstring_does_what_it_shows(example: Any, request: Any) -> None:
    # As a reader types it in: without the module's own `from __future__ import annotations`.
    example.globs.pop("annotations", None)
    example.globs["getfixture"] = request.getfixturevalue
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_public_names_that_one_starts_with_have_an_example() -> None:
    shown = {example.name.rpartition(".")[2] for example in EXAMPLES}
    assert {"encrypted", "Encrypted", "create_engine", "acting_as", "columns"} <= shown
