"""The environment variables of a settings model: `VAULTDB_NAME` and `VAULTDB_ROLE_NAME`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

PREFIX = "VAULTDB_"


@dataclass(frozen=True, slots=True)
class Env:
    """The name of a field's environment variable without its prefix."""

    name: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One field with its two outer names."""

    path: tuple[str, ...]
    variable: str
    field: FieldInfo

    @property
    def key(self) -> str:
        """The key in the file, with its table: `database.url`."""
        return ".".join(self.path)

    @property
    def is_path(self) -> bool:
        """Whether the value is a file name, relative to the file that names it."""
        return Path in (self.field.annotation, *getattr(self.field.annotation, "__args__", ()))


def settings_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """List every field of a settings model, sections included."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_of(field.annotation, (*path, name))
        for mark in field.metadata:
            if isinstance(mark, Env):
                yield Setting((*path, name), mark.name, field)


def from_environment(
    model: type[BaseModel], environment: Mapping[str, str], role: str | None = None
) -> dict[str, Any]:
    """Return what the environment sets, nested as in the file; an empty variable sets nothing."""
    prefix = f"{PREFIX}{role.upper()}_" if role else PREFIX
    found: dict[str, Any] = {}
    for setting in settings_of(model):
        if value := environment.get(prefix + setting.variable):
            table = found
            for part in setting.path[:-1]:
                table = table.setdefault(part, {})
            table[setting.path[-1]] = value
    return found
