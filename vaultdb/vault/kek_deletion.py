"""Deleting one KEK, and with it everything that it has ever wrapped."""

from __future__ import annotations

from dataclasses import dataclass

from vaultdb.errors import VaultRejected
from vaultdb.vault.answers import NotFound, take
from vaultdb.vault.client import VaultClient


@dataclass(frozen=True, slots=True)
class VaultIdentity:
    """Who is logged in to Vault, as its own log names them; nothing of it is secret."""

    display_name: str
    entity_id: str
    """Empty when the login has none, such as a root token."""


class KekDeletion:
    """One KEK, as the shredder sees it.

    Args:
        client: logged in as the shredder.
        mount: the path of the transit mount.
        kek: the key's name. Both come from the configuration, never from a row.

    """

    def __init__(self, client: VaultClient, mount: str, kek: str) -> None:
        self._client = client
        self.mount = mount.strip("/")
        self.kek = kek

    def exists(self) -> bool:
        """Ask whether the key is there, also when it is only marked as deleted.

        Raises:
            VaultDenied: the role may not read it.
            VaultRejected: there is no such mount.
            VaultUnavailable: no answer.

        """
        try:
            self._client.call(
                lambda vault: vault.secrets.transit.read_key(self.kek, mount_point=self.mount)
            )
        except NotFound as error:
            if "mounted" in str(error):  # a wrong mount must not pass for a key that is gone
                raise VaultRejected(str(error)) from None
            return False
        return True

    def delete(self) -> None:
        """Delete every version of the key, for ever, and look that it is gone; repeat at will.

        Raises:
            VaultDenied: the role may not delete it; nothing was done.
            VaultRejected: it is still there.
            VaultUnavailable: no answer; it may be gone or not.

        """
        if not self.exists():
            return
        path = f"/v1/{self.mount}/keys/{self.kek}"
        self._client.call(
            lambda vault: vault.adapter.post(f"{path}/config", json={"deletion_allowed": True})
        )
        try:
            self._client.call(lambda vault: vault.adapter.delete(path))
        except VaultRejected:
            # Sent twice, the second time finds nothing: what counts is what is there now.
            if self.exists():
                raise
        if self.exists():
            raise VaultRejected(f"{self.mount}/keys/{self.kek}: vault deleted it, and it is there")

    def whoami(self) -> VaultIdentity:
        """Return who is logged in."""
        answer = self._client.call(lambda vault: vault.auth.token.lookup_self())
        data = take(answer, "data")
        return VaultIdentity(str(data.get("display_name") or ""), str(data.get("entity_id") or ""))
