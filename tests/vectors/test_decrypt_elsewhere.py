"""The examples open the whole golden corpus without vaultdb."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "decrypt_elsewhere"
CORPUS = json.loads((ROOT / "tests/vectors/golden/v1.json").read_text(encoding="utf-8"))
NODE = shutil.which("node")

FIELDS = ("tenant", "logical_name", "type_tag", "key", "envelope")
TEXT = {"str", "json", "object", "decimal", "enum"}


def described(entry):
    return {name: CORPUS[name] for name in ("dek", "realm")} | {n: entry[n] for n in FIELDS}


def run(command, value):
    completed = subprocess.run(
        command, input=json.dumps(value), capture_output=True, text=True, check=False, timeout=60
    )
    return completed.returncode, completed.stdout.rstrip("\n")


@pytest.fixture(scope="module")
def example():
    spec = spec_from_file_location("decrypt_elsewhere", EXAMPLE / "decrypt.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("entry", CORPUS["values"], ids=lambda entry: entry["logical_name"])
def test_the_python_example_opens_every_golden_value(example, entry):
    payload = example.decrypt(described(entry))
    if entry["type"] in ("str", "Decimal", "Sex"):
        assert payload.decode() == entry["value"]
    elif entry["type_tag"] in ("json", "object"):
        assert json.loads(payload) == entry["value"]
    elif entry["type"] == "bytes":
        assert payload.hex() == entry["value"]
    elif entry["type"] == "int":
        assert int.from_bytes(payload, "big", signed=True) == int(entry["value"])


def test_the_python_example_does_not_import_vaultdb():
    assert "import vaultdb" not in (EXAMPLE / "decrypt.py").read_text()
    assert "from vaultdb" not in (EXAMPLE / "decrypt.py").read_text()


COMMANDS = [
    pytest.param([sys.executable, str(EXAMPLE / "decrypt.py")], id="python"),
    pytest.param(
        [str(NODE), str(EXAMPLE / "decrypt.mjs")],
        id="node",
        marks=pytest.mark.skipif(NODE is None, reason="Node.js is not installed"),
    ),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_scripts_print_the_value_of_the_readme(command):
    (block,) = re.findall(r"```json\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    value = json.loads(block)
    assert value == described(CORPUS["values"][0])
    assert run(command, value) == (0, "999-17-5017")
    code, printed = run(command, value | {"tenant": "acme"})
    assert code != 0
    assert "999" not in printed


@pytest.mark.skipif(NODE is None, reason="Node.js is not installed")
@pytest.mark.parametrize(
    "entry",
    CORPUS["values"][:20:4] + CORPUS["values"][-2:],
    ids=lambda entry: entry["logical_name"],
)
def test_node_opens_golden_values_as_python_does(example, entry):
    payload = example.decrypt(described(entry))
    expected = payload.decode() if entry["type_tag"] in TEXT else payload.hex()
    assert run([NODE, str(EXAMPLE / "decrypt.mjs")], described(entry)) == (0, expected)
