"""`https://…`: each checkpoint as the body of a POST, over verified TLS."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from vaultdb.audit.chain import Record
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.sinks.address import SinkAddress
from vaultdb.jobs.audit.sinks.notes import as_lines
from vaultdb.vault.session import new_session

TIMEOUT = 5.0
"""Seconds for the connection, and for the answer."""


class WebhookSink:
    """Posts to one URL, and takes any answer of class 2xx for a promise to keep what was sent.

    Args:
        url: https.
        context: verifies the server.
        token_file: holds a bearer token; read each time, so that it can be replaced.

    """

    def __init__(
        self, url: str, context: ssl.SSLContext, *, token_file: Path | None = None
    ) -> None:
        self._url = url
        self._token_file = token_file
        self._session = new_session(context)

    @classmethod
    def of(cls, address: SinkAddress) -> Self:
        """Prepare posting to a URL; nothing is sent yet.

        Raises:
            ConfigurationError: the CA file cannot be read.

        """
        context = client_tls(address)
        return cls(address.url.geturl(), context, token_file=address.take_path("token-file"))

    def checkpoint(self, note: str) -> None:
        """Post a signed note as text.

        Raises:
            OSError: no answer, or none that says it was kept.

        """
        self._post(note, "text/plain; charset=utf-8")

    def records(self, records: Sequence[Record]) -> None:
        """Post records as JSON lines.

        Raises:
            OSError: no answer, or none that says they were kept.

        """
        self._post(as_lines(records), "application/x-ndjson")

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _post(self, text: str, content_type: str) -> None:
        headers = {"Content-Type": content_type}
        if self._token_file is not None:
            token = self._token_file.read_text(encoding="utf-8").strip()
            headers["Authorization"] = f"Bearer {token}"
        answer = self._session.post(
            self._url,
            data=text.encode(),
            headers=headers,
            timeout=TIMEOUT,
            allow_redirects=False,  # it would repeat the request elsewhere, with the token
        )
        if not answer.ok or answer.is_redirect:
            raise OSError(f"the server answered {answer.status_code}")


def client_tls(address: SinkAddress) -> ssl.SSLContext:
    """Return what verifies the server of a sink: the machine's CAs, or those of option `ca`.

    Raises:
        ConfigurationError: the file cannot be read.

    """
    ca = address.take_path("ca")
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError):
        raise ConfigurationError(f"{address.name}: {ca} is no file of CA certificates") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
