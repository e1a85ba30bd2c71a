"""Which roles can do their part with the settings of this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from vaultdb.errors import (
    KeyUnavailable,
    VaultDBError,
    VaultDenied,
    VaultUnavailable,
    VaultUntrusted,
)
from vaultdb.vault.factory import new_client, new_provider

if TYPE_CHECKING:
    import hvac

    from vaultdb.settings import Settings
    from vaultdb.settings.model import Role

_PATHS = {
    "rotator": ("{mount}/keys/{kek}/rotate", "{mount}/rewrap/{kek}"),
    "officer": ("{mount}/datakey/plaintext/{kek}",),
    "reencryptor": ("{mount}/decrypt/{kek}",),
}
"""What each role must be able to update in Vault."""


def missing_right(load: Callable[[Role], Settings], role: Role) -> str | None:
    """Return why a role cannot do its part here; None when it can.

    A role without settings of its own has the application's login, so Vault itself is asked what
    the login may do, as far as it may ask. Other key providers know no roles.

    Args:
        load: gives the settings of a role.
        role: rotator, officer or reencryptor.

    Raises:
        VaultUnavailable, VaultUntrusted: Vault cannot be asked.

    """
    try:
        settings = load(role)
        return None if settings.keys != "vault" else _missing_in_vault(settings, role, load)
    except (KeyUnavailable, VaultUnavailable, VaultUntrusted):
        raise  # an outage, which takes no right away
    except VaultDBError as error:
        return str(error)


def _missing_in_vault(
    settings: Settings, role: Role, load: Callable[[Role], Settings]
) -> str | None:
    vault = settings.vault
    paths = [path.format(mount=vault.transit_mount, kek=vault.kek) for path in _PATHS[role]]
    with closing(new_client(vault)) as client:
        try:
            answer = client.call(lambda hvac_: _capabilities(hvac_, paths))
        except VaultDenied:  # a policy without sys/capabilities-self, such as vaultdb's own
            return _missing_login(settings, role, load)
    refused = [path for path in paths if not {"update", "root"} & set(answer.get(path, ()))]
    return f"the login of [role.{role}] may not use {refused[0]}" if refused else None


def _missing_login(settings: Settings, role: Role, load: Callable[[Role], Settings]) -> str | None:
    if role == "reencryptor" or settings.vault != load("app").vault:
        return None  # the application may decrypt, too
    with closing(new_provider(settings)) as provider:
        try:
            provider.latest_version()  # the application may not; the rotator may
        except VaultDBError:
            return f"[role.{role}.vault] has no login of its own"
    return None if role == "rotator" else f"[role.{role}.vault] has no login of its own"


def _capabilities(client: hvac.Client, paths: list[str]) -> dict[str, list[str]]:
    answer = client.sys.get_capabilities(paths)
    found: dict[str, list[str]] = answer.get("data", answer)
    return found
