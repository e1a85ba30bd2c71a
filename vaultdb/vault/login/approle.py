"""AppRole: a role id and a secret id, the latter possibly in a response-wrapping token."""

from __future__ import annotations

import re

import hvac

from vaultdb.errors import VaultDenied, VaultRejected
from vaultdb.vault.answers import take
from vaultdb.vault.login.secret_file import ReadSecret
from vaultdb.vault.token import Token

MOUNT = "approle"


class AppRoleLogin:
    """Log in with AppRole.

    Args:
        role_id: the role's id; a name, not a secret.
        secret_id: gives the secret id, from memory or a file.
        mount: where AppRole is mounted.

    """

    name = "approle"

    def __init__(
        self, role_id: str, secret_id: ReadSecret | WrappedSecretId, *, mount: str = MOUNT
    ) -> None:
        self._role_id = role_id
        self._secret_id = secret_id
        self._mount = mount

    def login(self, vault: hvac.Client, asked_at: float) -> Token:
        """Log in with the secret id, after unwrapping it where it comes wrapped."""
        source = self._secret_id
        secret_id = source.read(vault) if isinstance(source, WrappedSecretId) else source()
        answer = vault.auth.approle.login(
            self._role_id, secret_id, use_token=False, mount_point=self._mount
        )
        return Token.from_login(answer, asked_at)


class WrappedSecretId:
    """A secret id inside a response-wrapping token, which can be opened exactly once.

    Opening it says that nobody else has: a token that was used before means that the secret id may
    be in other hands. That is an alarm, not an outage, and is never tried again. The opened secret
    id stays in memory for later logins, so a process needs one wrapping token in its life. Children
    of a fork share it when the parent has logged in before; else each needs its own.

    Args:
        wrapping_token: gives the wrapping token, usually from a file.
        mount: where AppRole is mounted.
        role: the role's name, to be compared with the token's origin; any role of the mount if
            None.

    """

    def __init__(
        self, wrapping_token: ReadSecret, *, mount: str = MOUNT, role: str | None = None
    ) -> None:
        self._wrapping_token = wrapping_token
        role_pattern = re.escape(role) if role else "[^/]+"
        self._origin = re.compile(rf"auth/{re.escape(mount)}/role/{role_pattern}/secret-id")
        self._opened = ""
        self._secret_id = ""

    def read(self, vault: hvac.Client) -> str:
        """Return the secret id, opening the wrapping token when it is a new one.

        Raises:
            VaultDenied: the token was made elsewhere, was opened by somebody else, or has expired.

        """
        wrapping_token = self._wrapping_token()
        if wrapping_token != self._opened:
            self._check_origin(vault, wrapping_token)
            self._opened = wrapping_token
            self._secret_id = ""
            self._secret_id = self._open(vault, wrapping_token)
        if not self._secret_id:
            raise _alarm()
        return self._secret_id

    def _check_origin(self, vault: hvac.Client, wrapping_token: str) -> None:
        origin: str | None = None
        try:
            answer = vault.adapter.post("/v1/sys/wrapping/lookup", json={"token": wrapping_token})
            origin = str(take(answer, "data", "creation_path"))
        except (VaultRejected, VaultDenied):
            pass
        if origin is None:
            raise _alarm()
        if not self._origin.fullmatch(origin):
            raise VaultDenied(
                "the wrapping token was not made by AppRole for this role: somebody exchanged it; "
                "treat the channel that delivered it as compromised"
            )

    @staticmethod
    def _open(vault: hvac.Client, wrapping_token: str) -> str:
        secret_id: str | None = None
        # Opened under itself: without any token Vault answers 403, and with another one it must be
        # allowed by a policy.
        vault.token = wrapping_token
        try:
            answer = vault.adapter.post("/v1/sys/wrapping/unwrap")
            secret_id = str(take(answer, "data", "secret_id"))
        except (VaultRejected, VaultDenied):
            pass
        finally:
            vault.token = ""
        if secret_id is None:
            raise _alarm()
        return secret_id


def _alarm() -> VaultDenied:
    return VaultDenied(
        "the wrapped secret id was opened before, or has expired: unless this program opened it "
        "itself at an earlier start, somebody else has the secret id; destroy the role's secret "
        "ids and issue a new one"
    )
