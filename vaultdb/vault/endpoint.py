"""Where Vault is, and how its certificate is checked."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from vaultdb.errors import ConfigurationError
from vaultdb.settings.model import VAULT_TIMEOUT
from vaultdb.vault.deadline import DeadlineSocket


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Vault or OpenBao server; making this checks the address and touches nothing.

    Args:
        addr: `https://host:port`. Plain http is refused: tokens and DEKs pass here.
        ca_cert: PEM file or folder of the authorities that may vouch for the server; without it
            those of the machine. `REQUESTS_CA_BUNDLE` and its kind are never read.
        namespace: where the server has them.
        client_cert: PEM file of the client certificate.
        client_key: PEM file of its key, unless it is in the same file.
        timeout: seconds that one call may take in all.

    Raises:
        ConfigurationError: the address cannot be used.

    """

    addr: str
    ca_cert: Path | None = None
    namespace: str | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    timeout: float = VAULT_TIMEOUT

    def __post_init__(self) -> None:
        parts = urlsplit(self.addr)
        if parts.scheme != "https" or not parts.hostname:
            raise ConfigurationError(
                f"vault.addr must be https://host:port, not {parts.scheme or 'a bare name'}: "
                "set VAULTDB_VAULT_ADDR"
            )
        if parts.username or parts.password:
            raise ConfigurationError("vault.addr must not contain a user name or password")

    def tls(self) -> ssl.SSLContext:
        """Read the certificate files and return what checks the server.

        Raises:
            ConfigurationError: a file is missing or is not a certificate.

        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = DeadlineSocket
        self._trust(context)
        if self.client_cert is not None:
            self._identify(context, self.client_cert)
        return context

    def _trust(self, context: ssl.SSLContext) -> None:
        if self.ca_cert is None:
            context.load_default_certs()
            return
        folder = os.fspath(self.ca_cert) if self.ca_cert.is_dir() else None
        file = None if folder else os.fspath(self.ca_cert)
        problem = ""
        try:
            context.load_verify_locations(cafile=file, capath=folder)
        except OSError as error:  # ssl.SSLError is one, too
            problem = _reason(error, "PEM certificate")
        if problem:
            raise ConfigurationError(
                f"vault.ca_cert: cannot use {self.ca_cert}: {problem}; set VAULTDB_VAULT_CACERT"
            )

    def _identify(self, context: ssl.SSLContext, client_cert: Path) -> None:
        problem = ""
        try:
            # An empty password makes an encrypted key an error instead of a prompt.
            context.load_cert_chain(client_cert, self.client_key, password="")
        except OSError as error:
            problem = _reason(error, "PEM certificate with its unencrypted key")
        if problem:
            raise ConfigurationError(
                f"vault.client_cert: cannot use {client_cert} with "
                f"{self.client_key or 'the key inside'}: {problem}"
            )


def _reason(error: OSError, expected: str) -> str:
    if isinstance(error, ssl.SSLError):
        return f"it is not a {expected}"
    return (error.strerror or type(error).__name__).lower()
