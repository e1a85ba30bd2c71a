"""The public names are a promise: adding one is a decision, losing one breaks programs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vaultdb
from vaultdb import errors

PROMISED = {
    "Acting",
    "DecryptedBatch",
    "Encrypted",
    "Equality",
    "Grant",
    "Settings",
    "access",
    "acting_as",
    "bulk_decrypt",
    "columns",
    "copy_in",
    "create_async_engine",
    "create_engine",
    "encrypted",
    "install",
    "plaintext_reads",
}


def test_the_public_names_are_the_promised_ones_and_the_errors():
    assert set(vaultdb.__all__) == PROMISED | set(errors.__all__)


@pytest.mark.parametrize("name", vaultdb.__all__)
def test_a_public_name_can_be_imported(name):
    assert getattr(vaultdb, name).__module__.startswith("vaultdb.")


def test_type_checkers_see_the_names_that_python_sees():
    tree = ast.parse(Path(vaultdb.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = [
        alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(seen) == sorted(vaultdb.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'encypted'"):
        vaultdb.encypted  # noqa: B018


def test_importing_the_package_imports_neither_sqlalchemy_nor_hvac():
    """`import vaultdb` stays under 0.5 s because it loads nothing: counted, not timed."""
    code = "import sys, vaultdb; print([m for m in ('sqlalchemy', 'hvac', 'psycopg') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
