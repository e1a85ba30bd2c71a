"""Objects of a Vault by their paths: look, compare, write what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vaultdb.errors import ConfigurationError
from vaultdb.provision.step import Progress, State
from vaultdb.vault.answers import NotFound, take
from vaultdb.vault.client import VaultClient

OURS = "vaultdb: "
"""What the description of a mount that vaultdb made begins with."""

Fields = Mapping[str, Any]


class VaultObjects:
    """A Vault as an administrator sees it.

    Args:
        client: logged in as an administrator.
        progress: what was done so far, and whether to do anything at all.

    """

    def __init__(self, client: VaultClient, progress: Progress) -> None:
        self._client = client
        self.progress = progress
        self._mounts: dict[str, dict[str, Any]] = {}

    def read(self, path: str) -> dict[str, Any] | None:
        """Return the data at a path, None when there is nothing."""
        try:
            answer = self._client.call(lambda vault: vault.adapter.get(f"/v1/{path}"))
        except NotFound:
            return None
        data = take(answer, "data")
        return data if isinstance(data, dict) else None

    def write(self, path: str, body: Fields) -> Any:
        """Write to a path; return the answer."""
        return self._client.call(
            lambda vault: vault.adapter.post(f"/v1/{path}", json=dict(body)), repeatable=False
        )

    def ensure(
        self,
        what: str,
        path: str,
        wanted: Fields,
        *,
        unseen: Fields | None = None,
        flatten: Callable[[Fields], Fields] = dict,
        ours: bool = True,
    ) -> None:
        """Make the object at a path have the wanted fields; others stay as they are.

        Args:
            what: the object, for the reader.
            path: where it is read and written.
            wanted: its fields.
            unseen: what is written too and cannot be compared, secrets for one.
            flatten: from what Vault answers to fields like the wanted ones.
            ours: whether an object that differs may be changed.

        """
        data = self.read(path)
        found = None if data is None else flatten(data)
        differences = [] if found is None else differing(found, wanted)
        if found is not None and not differences:
            self.progress.step(what, State.SAME)
        elif found is not None and not ours:
            self.progress.step(what, State.FOREIGN, detail=differences)
        else:
            self.progress.step(
                what,
                State.CREATE if found is None else State.CHANGE,
                lambda: self.write(path, {**wanted, **(unseen or {})}),
                detail=differences,
            )

    def ensure_mount(
        self, path: str, kind: str, purpose: str, *, where: str = "mounts", **options: Any
    ) -> bool:
        """Mount an engine, or a login method for `auth`; return whether the mount is ours.

        Raises:
            ConfigurationError: something of another kind is mounted there.

        """
        path = path.strip("/")
        found = self.mounted(where).get(f"{path}/")
        noun = f"{kind} mount {path}" if where == "mounts" else f"{kind} login {path}"
        if found is not None and found["type"] != kind:
            raise ConfigurationError(
                f"vault has a {found['type']} engine at {path}, where {noun} was to be: choose"
                " another mount"
            )
        if found is not None:
            self.progress.step(noun, State.SAME)
            return str(found.get("description") or "").startswith(OURS)
        body = {"type": kind, "description": OURS + purpose, **options}
        self.progress.step(noun, State.CREATE, lambda: self.write(f"sys/{where}/{path}", body))
        return True

    def mounted(self, where: str = "mounts") -> dict[str, Any]:
        """Return what is mounted, by path with a slash at its end."""
        if where not in self._mounts:
            self._mounts[where] = self.read(f"sys/{where}") or {}
        return self._mounts[where]


def differing(found: Fields, wanted: Fields) -> list[str]:
    """Return a line for each wanted field that is otherwise."""
    lines = []
    for name, value in wanted.items():
        there = found.get(name)
        if there != value and (there or value):
            lines.append(f"{name}: {_shown(there)} -> {_shown(value)}")
    return lines


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "nothing"
    return "nothing" if value in {None, ""} else str(value)
