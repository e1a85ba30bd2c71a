"""Checkpoints through syslog, in the frames of each transport."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.jobs.audit.https_server import server_tls
from tests.unit.jobs.audit.notes import record, signed_notes
from vaultdb.jobs.audit.sinks.opening import open_sink
from vaultdb.jobs.audit.sinks.syslog import SyslogSink

NOTE = signed_notes(1)[0].note
HEADER = re.compile(r"<(\d+)>1 (\S+Z) (\S+) vaultdb (\d+) (\S+) - (.*)")


def message(text: bytes) -> tuple[int, str, str]:
    """Return priority, message id and text of a message of RFC 5424."""
    match = HEADER.fullmatch(text.decode())
    assert match is not None
    return int(match[1]), match[5], match[6]


def frames(stream: bytes) -> list[bytes]:
    """Split a stream that counts octets (RFC 6587, section 3.4.1)."""
    found = []
    while stream:
        length, _, rest = stream.partition(b" ")
        found.append(rest[: int(length)])
        stream = rest[int(length) :]
    return found


class Collector:
    """Takes connections one after another, and keeps what each has sent."""

    def __init__(self, folder: Path, *, tls: bool) -> None:
        context, self.ca = server_tls(folder)
        self.listening = socket.create_server(("127.0.0.1", 0))
        if tls:
            self.listening = context.wrap_socket(self.listening, server_side=True)
        self.port = self.listening.getsockname()[1]
        self.streams: list[bytes] = []
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while True:
            try:
                taken, _ = self.listening.accept()
            except OSError:
                return
            stream = b""
            with taken:
                while part := taken.recv(65_536):
                    stream += part
            self.streams.append(stream)

    def close(self) -> None:
        if self.thread.is_alive():
            self.listening.shutdown(socket.SHUT_RDWR)
            self.thread.join()
        self.listening.close()

    def stream(self) -> bytes:
        """Return what the first connection has sent, once it has ended."""
        while not self.streams:
            time.sleep(0.01)
        return self.streams[0]


@pytest.fixture(params=["syslog+tcp", "syslog+tls"])
def collector(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Collector]]:
    with closing(Collector(tmp_path, tls=request.param == "syslog+tls")) as running:
        options = f"#ca={running.ca}" if request.param == "syslog+tls" else ""
        yield f"{request.param}://127.0.0.1:{running.port}{options}", running


def test_a_stream_counts_the_octets_of_each_message(collector: tuple[str, Collector]) -> None:
    url, running = collector
    address, sink = open_sink(url)
    address.check_all_taken()
    sink.checkpoint(NOTE)
    sink.records([record(0), record(1)])
    sink.close()
    checkpoint, *records = [message(frame) for frame in frames(running.stream())]
    assert checkpoint[:2] == (13 * 8 + 5, "checkpoint")
    assert json.loads(checkpoint[2]) == {"checkpoint": NOTE}
    assert [(each[1], json.loads(each[2])["seq"]) for each in records] == [
        ("record", 0),
        ("record", 1),
    ]


def test_datagrams_hold_one_message_each(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(5)
        _, sink = open_sink(f"syslog+unix://{tmp_path}/log")
        sink.checkpoint(NOTE)
        assert json.loads(message(log.recv(65_536))[2])["checkpoint"] == NOTE
        sink.close()


def test_udp_and_another_facility() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as log:
        log.bind(("127.0.0.1", 0))
        log.settimeout(5)
        _, sink = open_sink(f"syslog+udp://127.0.0.1:{log.getsockname()[1]}#facility=16")
        sink.checkpoint(NOTE)
        assert message(log.recv(65_536))[0] == 16 * 8 + 5
        sink.close()


def test_a_sink_connects_anew_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = SyslogSink("syslog+unix", str(path))
    with pytest.raises(OSError):
        sink.checkpoint(NOTE)
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(str(path))
            try:
                sink.checkpoint(NOTE)
            except OSError:  # the socket of before is gone
                sink.checkpoint(NOTE)
            assert message(log.recv(65_536))[1] == "checkpoint"
        path.unlink()
    sink.close()


def test_a_server_that_cannot_be_verified_gets_nothing(tmp_path: Path) -> None:
    with closing(Collector(tmp_path, tls=True)) as running:
        _, sink = open_sink(f"syslog+tls://127.0.0.1:{running.port}")
        with pytest.raises(OSError):
            sink.checkpoint(NOTE)
    assert b"".join(running.streams) == b""
