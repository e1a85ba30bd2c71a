"""The options before the command, and the settings that they select."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from vaultdb.settings import Settings
    from vaultdb.settings.model import Role

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print JSON, one entry a line.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", metavar="MODULE:NAME",
        help="Declarative base or MetaData; repeatable; default: the setting models.",
    ),
]  # fmt: skip
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class Options:
    """What stands before the command."""

    config: Path | None = None
    profile: str | None = None
    debug: bool = False

    def settings(self, role: Role | None = None, **overrides: Any) -> Settings:
        """Load the settings of a role."""
        from vaultdb.settings import Settings

        return Settings.load(profile=self.profile, role=role, file=self.config, **overrides)


def options_of(context: typer.Context) -> Options:
    """Return the options of this run."""
    return context.obj if isinstance(context.obj, Options) else Options()
