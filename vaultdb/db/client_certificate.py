"""The client certificate of one engine: issued by Vault, held in memory, replaced in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event

from vaultdb.after_fork import reset_in_children
from vaultdb.db.login.attach import connect_after, off_the_loop
from vaultdb.db.memory_file import MemoryFile
from vaultdb.db.url import normalise_url
from vaultdb.errors import VaultDBError, VaultUnavailable
from vaultdb.keys.clock import BOOT_TIME, Clock
from vaultdb.logs import VAULT
from vaultdb.settings import DatabaseSettings
from vaultdb.vault.client import VaultClient
from vaultdb.vault.deadline import time_left, within
from vaultdb.vault.pki import CertificateRole, IssuedCertificate
from vaultdb.vault.renewal import Renewal

RENEW_AT = 0.5
"""The part of a certificate's life after which it is replaced; the rest is for Vault's outages."""
RETRY_AT = 0.1
"""The part of its life between two tries to replace it."""
SHORTEST_PAUSE = 0.5
"""Seconds between two tries, at least."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A certificate in use; its file is closed with the last connect that reads it."""

    file: MemoryFile
    serial: str
    renew_at: float
    expires_at: float
    pause: float


class ClientCertificate:
    """Holds a certificate that is always valid; safe for threads and forks.

    It is issued at the first use and replaced at half of its life by a thread. Vault may be away
    for the other half. Connections that exist are not touched: TLS looks at a certificate once. A
    child of a fork goes on with the same certificate and has a thread of its own.

    Args:
        issue: asks for a certificate; raises `VaultError`.
        timeout: seconds that it may take.

    """

    def __init__(
        self,
        issue: Callable[[], IssuedCertificate],
        timeout: float,
        *,
        _clock: Clock = BOOT_TIME,
    ) -> None:
        self._issue = issue
        self._timeout = timeout
        self._clock = _clock
        self._held: _Held | None = None
        self._renewal: Renewal | None = None
        self.generation = 0
        self.reset_after_fork()
        reset_in_children(self)

    def at_hand(self) -> MemoryFile | None:
        """Return the path of a valid certificate and its key, None when one must be issued."""
        held = self._held
        if held is None or self._clock() >= held.expires_at:
            return None
        self._renew_in_background()
        return held.file

    def file(self) -> MemoryFile:
        """Return the path of a valid certificate and its key, in one file; may ask Vault.

        Raises:
            VaultError: none is at hand and Vault issues none.

        """
        found = self.at_hand()
        if found is None:
            with within(self._timeout):
                self._replace(lambda held: held is None or self._clock() >= held.expires_at)
            found = self.at_hand()
        if found is None:
            raise VaultUnavailable("the client certificate expired while it was issued; try again")
        return found

    def renew(self) -> float:
        """Replace the certificate if that is due; return the seconds until the next look."""
        held = self._held
        if held is None:
            return self._timeout
        if self._clock() >= held.renew_at:
            try:
                self._replace(lambda held: held is not None and self._clock() >= held.renew_at)
            except VaultDBError as error:
                left = max(0.0, held.expires_at - self._clock())
                VAULT.warning("client certificate not renewed, valid for %.0f s: %s", left, error)
                return max(held.pause, SHORTEST_PAUSE)
        held = self._held
        return self._timeout if held is None else max(0.0, held.renew_at - self._clock())

    def close(self) -> None:
        """Forget the certificate and end the thread; a later use issues a new one."""
        with self._lock:
            renewal, self._renewal, self._held = self._renewal, None, None
        if renewal is not None:
            renewal.stop()

    def reset_after_fork(self) -> None:
        """Have a lock and a thread of our own in a child; the certificate serves it as well."""
        self._lock = threading.Lock()
        self._renewal = None

    def __repr__(self) -> str:
        return f"<ClientCertificate, {'held' if self._held else 'none yet'}>"

    def _replace(self, is_due: Callable[[_Held | None], bool]) -> None:
        """Issue one, unless another thread just has."""
        if not self._lock.acquire(timeout=time_left(otherwise=self._timeout)):
            raise VaultUnavailable("another thread waits too long for a certificate; try again")
        try:
            if is_due(self._held):
                issued = self._issue()
                begin, life = issued.obtained_at, issued.lifetime
                self._held = _Held(
                    file=MemoryFile(issued.pem),
                    serial=issued.serial,
                    renew_at=begin + RENEW_AT * life,
                    expires_at=issued.expires_at,
                    pause=RETRY_AT * life,
                )
                self.generation += 1
                VAULT.info("client certificate %s, valid for %.0f s", issued.serial, life)
        finally:
            self._lock.release()

    def _renew_in_background(self) -> None:
        if self._renewal is None and self._lock.acquire(blocking=False):
            try:
                self._start_thread()
            finally:
                self._lock.release()

    def _start_thread(self) -> None:
        if self._renewal is None:  # another thread may have had the lock before
            renewal = Renewal(self, self._timeout)
            self._renewal = renewal if renewal.start() else None


def attach_certificate(engine: Engine, settings: DatabaseSettings, client: VaultClient) -> None:
    """Let `engine` connect with a certificate from Vault, if `database.certificate_role` is set.

    The certificate's common name is the login's, so that `cert` and `clientcert=verify-full` work;
    a leased login has a new name each time, and the name is the PKI role's: there the server can
    only ask for any certificate of the authority, `clientcert=verify-ca`, beside the password.

    Args:
        engine: listen before anything that connects; the `sync_engine` of an async one.
        settings: the `[database]` section.
        client: the engine's Vault client, which the caller closes.

    """
    if settings.certificate_role is None or engine.dialect.name != "postgresql":
        return
    role = CertificateRole(client, settings.certificate_mount, settings.certificate_role)
    name = common_name(settings)
    certificate = ClientCertificate(lambda: role.issue(name), role.timeout)

    @event.listens_for(engine, "do_connect")
    def give_certificate(
        dialect: Any, record: Any, arguments: list[Any], parameters: dict[str, Any]
    ) -> Any:
        file = certificate.at_hand() or off_the_loop(certificate.file)
        given = parameters | {"sslcert": file, "sslkey": file}
        return connect_after(give_certificate, dialect, record, arguments, given)

    event.listen(engine, "engine_disposed", lambda _engine: certificate.close())


def common_name(settings: DatabaseSettings) -> str:
    """Return whom the certificate is for: the login of the URL, or the PKI role for a lease."""
    login = None
    if settings.url is not None and settings.lease is None:
        url = normalise_url(settings.url.get_secret_value())
        login = url.username or url.query.get("user")
    return str(login or settings.certificate_role)
