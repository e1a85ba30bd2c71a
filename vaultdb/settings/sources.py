"""Put the layers together: overrides, role, environment, profile, file."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vaultdb.errors import ConfigurationError
from vaultdb.settings.env import PREFIX, from_environment, settings_of
from vaultdb.settings.file import NAME, find_file, read_file

M = TypeVar("M", bound=BaseModel)

_LOGIN = frozenset(
    {"url", "password", "password_file", "sslcert", "sslkey", "lease", "lease_kind"}
    | {"certificate_role"}
)
# Whoever changes the schema or the roles never falls back to the application's login.
_OWN_LOGIN = frozenset({"migrator", "admin"})
_SECRET_ID = frozenset({"secret_id", "secret_id_file", "wrapped_secret_id_file"})
_TOKEN = frozenset({"token", "token_file"})
# A layer that names one of a group replaces the group: the officer's URL must not be used with
# the app's password, nor a secret id from the environment next to a file from vaultdb.toml.
_GROUPS = {
    **dict.fromkeys(("url",), _LOGIN),
    **dict.fromkeys(("password", "password_file"), frozenset({"password", "password_file"})),
    **dict.fromkeys(("migrate_url",), frozenset({"migrate_url", "migrate_password_file"})),
    **dict.fromkeys(_SECRET_ID, _SECRET_ID),
    **dict.fromkeys(_TOKEN, _TOKEN),
}

_NO_FILE = f'no {NAME} was found; that of the dev stack: eval "$(vaultdb dev env)"'


def load(
    model: type[M],
    *,
    profile: str | None,
    role: str | None,
    roles: Sequence[str],
    file: Path | str | None,
    overrides: Mapping[str, Any],
) -> M:
    """Build `model` from all layers; see `Settings.load`."""
    environment = os.environ
    path = find_file(environment, file)
    document = read_file(path, model, roles) if path else {}
    profile = profile or environment.get("VAULTDB_PROFILE") or None
    overlay = _profile(document, profile, path)
    variables = from_environment(model, environment)
    layers = [_bare(document), _bare(overlay), variables]
    if role:
        if role in _OWN_LOGIN:
            layers = [_without_app_login(layer, role) for layer in layers]
        layers += [
            _bare(document.get("role", {}).get(role, {})),
            _bare(overlay.get("role", {}).get(role, {})),
            _migrate_login(variables) if role == "migrator" else {},
            from_environment(model, environment, role),
        ]
    merged: dict[str, Any] = {}
    for layer in (*layers, dict(overrides)):
        merged = _merge(merged, layer)
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, model, path)) from None


def _profile(document: dict[str, Any], name: str | None, path: Path | None) -> dict[str, Any]:
    if name is None:
        return {}
    profiles = document.get("profile", {})
    if name not in profiles:
        where = path or f"a {NAME} (none was found)"
        known = ", ".join(sorted(profiles)) or "none"
        raise ConfigurationError(f"there is no [profile.{name}] in {where}; known: {known}")
    return dict(profiles[name])


def _bare(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in {"profile", "role"}}


def _without_app_login(layer: dict[str, Any], role: str) -> dict[str, Any]:
    """Take the app's login out; for the migrator put `migrate_url` in its place."""
    section = layer.get("database")
    if not isinstance(section, dict):
        return layer
    rest = {key: value for key, value in section.items() if key not in _LOGIN}
    own = _migrate_login(layer).get("database", {}) if role == "migrator" else {}
    return {**layer, "database": rest | own}


def _migrate_login(layer: dict[str, Any]) -> dict[str, Any]:
    """Return `migrate_url` and its password as the login that they are for the migrator."""
    section = layer.get("database")
    if not isinstance(section, dict):
        return {}
    names = {"migrate_url": "url", "migrate_password_file": "password_file"}
    return {"database": {names[key]: value for key, value in section.items() if key in names}}


def _merge(weak: dict[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    replaced = frozenset[str]().union(*(_GROUPS.get(key, frozenset()) for key in strong))
    merged = {key: value for key, value in weak.items() if key not in replaced}
    for key, value in strong.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, Mapping) and key != "minimum_versions"
        merged[key] = _merge(old, value) if both and isinstance(old, dict) else value
    return merged


def _explain(error: ValidationError, model: type[BaseModel], path: Path | None) -> str:
    """Say which settings are wrong and where each can be set; never the value."""
    settings = {setting.key: setting for setting in settings_of(model)}
    names = {*settings, *(key.rpartition(".")[0] for key in settings)} - {""}
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        key = ".".join(str(part) for part in problem["loc"])
        known = settings.get(key) or settings.get(key.rpartition(".")[0])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, sorted(names), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            lines.append(f"unknown setting {key}{hint}")
        elif known is None:
            lines.append(f"setting {key or 'file'}: {_lower(problem['msg'])}")
        elif problem["type"] == "missing":
            lines.append(f"setting {known.key} is missing: {_where(known.key, known.variable)}")
        else:
            what = _lower(problem["msg"])
            lines.append(f"setting {known.key}: {what}: {_where(known.key, known.variable)}")
    suffix = f" (read from {path})" if path else f" ({_NO_FILE})"
    return "; ".join(lines) + suffix


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    is_acronym = message[1:2].isupper()
    return message if is_acronym else message[:1].lower() + message[1:]


def _where(key: str, variable: str) -> str:
    table, _, name = key.rpartition(".")
    place = f"{name} in [{table}] of {NAME}" if table else f"{name} at the top of {NAME}"
    return f"set {PREFIX}{variable}, or {place}"
