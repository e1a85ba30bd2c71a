"""Find what `--model MODULE:NAME` names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData

from vaultdb.errors import ConfigurationError, VaultDBError

if TYPE_CHECKING:
    from vaultdb.settings import Settings

NO_MODELS = "say where your models are with --model MODULE:NAME, or set models in vaultdb.toml"


def load_object(name: str) -> Any:
    """Import `module:attribute`, also from the working directory.

    Raises:
        ConfigurationError: it does not exist, or importing it failed.

    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ConfigurationError(f"--model {name}: write MODULE:NAME, such as clinic.models:Base")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"--model {name}: {error}") from None
    except VaultDBError:
        raise
    except Exception as error:  # noqa: BLE001  # the user's module may raise anything
        raise ConfigurationError(
            f"--model {name}: importing it raised {type(error).__name__}; to see where:"
            f" python -c 'import {module_name}'"
        ) from None
    return found


def load_models(names: list[str] | None, settings: Settings) -> list[MetaData]:
    """Return the metadata of each of `names`; without any, of the setting `models` if it is set."""
    if not names:
        names = [settings.models] if settings.models else []
    return [load_metadata(name) for name in names]


def load_metadata(name: str) -> MetaData:
    """Return the metadata of a declarative base, a model or a MetaData, with its mappers ready.

    Raises:
        ConfigurationError: it is none of these.

    """
    found = load_object(name)
    metadata = getattr(found, "metadata", found)
    if not isinstance(metadata, MetaData):
        raise ConfigurationError(f"--model {name} is no declarative base, model or MetaData")
    return metadata
