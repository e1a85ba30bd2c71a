"""`syslog+tls://`, `syslog+tcp://`, `syslog+udp://`, `syslog+unix:///dev/log`: RFC 5424.

Syslog has no acknowledgement: what the kernel took may still be lost. Over TCP and TLS messages
are framed by their length (RFC 6587, RFC 5425); a datagram must hold the whole message.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import unquote

from vaultdb.audit.chain import Record
from vaultdb.audit.event import timestamp
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.sinks.address import SinkAddress
from vaultdb.jobs.audit.sinks.notes import as_lines
from vaultdb.jobs.audit.sinks.webhook import TIMEOUT, client_tls

SCHEMES: Final = ("syslog+tls", "syslog+tcp", "syslog+udp", "syslog+unix")

CLOSE_TIMEOUT = 1.0
"""Seconds that the end waits for the server to have read everything."""

_DRAINED: Final = 4096
_PORTS: Final = {"syslog+tls": 6514, "syslog+tcp": 601, "syslog+udp": 514}
_AUDIT: Final = 13
"""The facility "log audit" of RFC 5424."""
_NOTICE: Final = 5
_LARGEST_FACILITY: Final = 23


class SyslogSink:
    """Connects at the first message, and anew after a failure.

    Args:
        scheme: one of `SCHEMES`.
        place: host and port, or the path of a Unix socket.
        context: verifies the server, for TLS.
        facility: 0 to 23.

    """

    def __init__(
        self,
        scheme: str,
        place: tuple[str, int] | str,
        *,
        context: ssl.SSLContext | None = None,
        facility: int = _AUDIT,
    ) -> None:
        self._scheme = scheme
        self._place = place
        self._context = context
        self._priority = facility * 8 + _NOTICE
        self._socket: socket.socket | None = None

    @classmethod
    def of(cls, address: SinkAddress) -> Self:
        """Prepare sending to a URL; nothing is sent yet.

        Raises:
            ConfigurationError: it names no host or no path.

        """
        scheme, url = address.url.scheme, address.url
        context = client_tls(address) if scheme == "syslog+tls" else None
        facility = int(address.take_number("facility", _AUDIT))
        if facility > _LARGEST_FACILITY:
            raise ConfigurationError(f"{address.name}: facility must be 0 to {_LARGEST_FACILITY}")
        if scheme == "syslog+unix":
            place: tuple[str, int] | str = unquote(url.path)
        else:
            place = (url.hostname or "", url.port or _PORTS[scheme])
        if not place or not place[0]:
            raise ConfigurationError(f"{address.name}: name a host, or a path for syslog+unix")
        return cls(scheme, place, context=context, facility=facility)

    def checkpoint(self, note: str) -> None:
        """Send a signed note as a field of one line of JSON.

        Raises:
            OSError: the server cannot be reached.

        """
        self._send([self._message("checkpoint", json.dumps({"checkpoint": note}))])

    def records(self, records: Sequence[Record]) -> None:
        """Send a message for each record.

        Raises:
            OSError: the server cannot be reached.

        """
        self._send([self._message("record", line) for line in as_lines(records).splitlines()])

    def close(self) -> None:
        """Let what was sent arrive, and close the connection."""
        made, self._socket = self._socket, None
        if made is None:
            return
        with made, suppress(OSError):
            if made.type == socket.SOCK_STREAM:
                # TLS leaves something unread, and the kernel answers that with a reset, which
                # throws away what the other side has not read yet.
                made.settimeout(CLOSE_TIMEOUT)
                made.shutdown(socket.SHUT_WR)
                while made.recv(_DRAINED):
                    pass

    def _message(self, kind: str, text: str) -> bytes:
        host = platform.node() or "-"
        head = f"<{self._priority}>1 {timestamp()} {host} vaultdb {os.getpid()} {kind} - "
        return (head + text).encode()

    def _send(self, messages: Sequence[bytes]) -> None:
        is_stream = isinstance(self._place, tuple) and self._scheme != "syslog+udp"
        try:
            if self._socket is None:
                self._socket = self._connected()
            for message in messages:
                if is_stream:
                    self._socket.sendall(b"%d " % len(message) + message)
                else:
                    self._socket.send(message)
        except OSError:
            self.close()
            raise

    def _connected(self) -> socket.socket:
        if isinstance(self._place, str):
            return _datagrams(socket.AF_UNIX, self._place)
        if self._scheme == "syslog+udp":
            found = socket.getaddrinfo(*self._place, type=socket.SOCK_DGRAM)
            return _datagrams(found[0][0], found[0][4])
        made = socket.create_connection(self._place, TIMEOUT)
        if self._context is None:
            return made
        try:
            return self._context.wrap_socket(made, server_hostname=self._place[0])
        except BaseException:
            made.close()
            raise


def _datagrams(family: int, place: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        made.settimeout(TIMEOUT)
        made.connect(place)
    except BaseException:
        made.close()
        raise
    return made
