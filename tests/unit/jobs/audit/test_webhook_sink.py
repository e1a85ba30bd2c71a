"""Checkpoints over HTTPS: to a verified server, which must say that it kept them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.jobs.audit.https_server import Server, https_server
from tests.unit.jobs.audit.notes import record, signed_notes
from vaultdb.audit.sink import Sink
from vaultdb.jobs.audit.sinks.opening import open_sink

NOTE = signed_notes(1)[0].note


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with https_server(tmp_path) as running:
        yield running


def opened(server: Server, options: str = "") -> Sink:
    address, sink = open_sink(f"https://{server.address}/add?log=1#ca={server.ca}{options}")
    address.check_all_taken()
    return sink


def test_a_checkpoint_is_posted_as_it_is_signed(server: Server, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    sink = opened(server, f"&token-file={token}")
    sink.checkpoint(NOTE)
    token.write_text("second\n")
    sink.checkpoint(NOTE)
    sink.close()
    first, second = server.requests
    assert (first.method, first.path) == ("POST", "/add?log=1")
    assert first.body.decode() == NOTE
    assert first.headers["content-type"] == "text/plain; charset=utf-8"
    assert [each.headers["authorization"] for each in (first, second)] == [
        "Bearer first",
        "Bearer second",
    ]


def test_records_are_posted_as_lines_of_json(server: Server) -> None:
    sink = opened(server)
    sink.records([record(0), record(1)])
    sink.close()
    (request,) = server.requests
    assert [json.loads(line)["seq"] for line in request.body.decode().splitlines()] == [0, 1]
    assert request.headers["content-type"] == "application/x-ndjson"


@pytest.mark.parametrize("status", [301, 307, 400, 500, 503])
def test_an_answer_that_promises_nothing_is_a_failure(server: Server, status: int) -> None:
    server.answer = lambda _: (status, {"Location": "https://elsewhere.example/"}, b"no")
    sink = opened(server)
    with pytest.raises(OSError, match=str(status)):
        sink.checkpoint(NOTE)
    sink.close()
    assert len(server.requests) == 1


def test_a_server_that_cannot_be_verified_gets_nothing(server: Server) -> None:
    _, sink = open_sink(f"https://{server.address}/add")
    with pytest.raises(OSError):
        sink.checkpoint(NOTE)
    sink.close()
    assert server.requests == []
