"""A tiny HTTPS server that plays a Vault in trouble; real servers cannot be made to do all this."""

from __future__ import annotations

import json
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from vaultdb.dev.certificates import Certificates

SECRET_TOKEN = "s.SECRET-TOKEN-0123456789abcdef"
SECRET_ID = "SECRET-ID-3f2504e0-4f89"
PLAINTEXT_DEK = "UExBSU5URVhULURFSy1QTEFJTlRFWFQtREVLLTMyIQ=="


@dataclass
class Answer:
    """What to send: a status, a body, headers, slowly if wanted."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    seconds_per_byte: float = 0.0
    hang_up: bool = False


Script = Callable[[str, str, Any], Answer]


def login_answer(ttl: int = 3600, *, renewable: bool = True, token: str = SECRET_TOKEN) -> Answer:
    return Answer(
        body={"auth": {"client_token": token, "lease_duration": ttl, "renewable": renewable}}
    )


def errors(status: int, *texts: str, **headers: str) -> Answer:
    renamed = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"errors": list(texts)}, renamed)


class FakeVault:
    """Answers logins, and whatever else its script says; remembers the calls."""

    def __init__(self, certificates: Certificates) -> None:
        self.calls: list[tuple[str, str]] = []
        self.tokens: list[str | None] = []
        self.script: Script = lambda *_: Answer(body={"data": {}})
        self.login: Callable[[], Answer] = login_answer
        self.lookup: Callable[[], Answer] = lambda: Answer(body={"data": {"ttl": 60}})
        self.released = threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.server, certificates.server_key)
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                self.request.settimeout(10)
                self.request.do_handshake()
                super().setup()

            def do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                fake._answer(self, self.command, self.path.removeprefix("/v1/"), body)

            do_GET = do_POST = do_PUT = do_DELETE = do_LIST = do

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def server_bind(self) -> None:
                socketserver.TCPServer.server_bind(self)  # HTTPServer's asks the DNS for a name

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def addr(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def count(self, path: str) -> int:
        return sum(1 for _, called in self.calls if called == path)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, method: str, path: str, body: Any) -> None:
        self.calls.append((method, path))
        self.tokens.append(handler.headers.get("X-Vault-Token"))
        if path.startswith("auth/") and path.endswith("/login"):
            answer = self.login()
        elif path == "auth/token/lookup-self":
            answer = self.lookup()
        elif path == "auth/token/revoke-self":
            answer = Answer(204)
        else:
            answer = self.script(method, path, body)
        self._send(handler, answer)

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        self.released.wait(answer.delay)
        if answer.hang_up:
            handler.close_connection = True
            handler.connection.close()
            return
        raw = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        if answer.status == 204:
            raw = b""
        handler.send_response(answer.status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(raw)))
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        if not answer.seconds_per_byte:
            handler.wfile.write(raw)
            return
        for position in range(len(raw)):
            if self.released.wait(answer.seconds_per_byte):
                return
            handler.wfile.write(raw[position : position + 1])


@contextmanager
def fake_vault(certificates: Certificates) -> Iterator[FakeVault]:
    fake = FakeVault(certificates)
    try:
        yield fake
    finally:
        fake.close()


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes, whatever it raises."""
    started = time.monotonic()
    with suppress(Exception):
        work()
    return time.monotonic() - started
