"""The reference page has every command and every option."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from vaultdb.cli.root import build

PAGE = (Path(__file__).parents[3] / "docs/reference/cli.md").read_text()


def commands() -> Iterator[tuple[str, Any]]:
    def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
        yield path, command
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(f"{path} {name}".strip(), child)

    yield from walk("", typer.main.get_command(build(None)))


OURS = [(path, command) for path, command in commands() if not path.startswith(("dev", "demo"))]


@pytest.mark.parametrize(("path", "command"), OURS, ids=[path or "vaultdb" for path, _ in OURS])
def test_every_command_and_option_is_in_the_reference(path: str, command: Any) -> None:
    assert path in PAGE
    for parameter in command.params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            if option.startswith("--"):
                assert f"`{option}" in PAGE, f"{path} {option}"


def test_every_command_has_help() -> None:
    assert [path for path, command in commands() if not command.help] == []
