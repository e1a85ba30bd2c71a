"""Checkpoints in a bucket with object lock, by boto3 and a little server that speaks S3."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.unit.jobs.audit.https_server import Request, Server, https_server
from tests.unit.jobs.audit.notes import record, signed_notes
from vaultdb.jobs.audit.sinks.notes import Remembers
from vaultdb.jobs.audit.sinks.opening import open_sink

pytest.importorskip("boto3")


class Bucket:
    """Objects by name, with the headers that they were put with."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        url = urlsplit(request.path)
        name = unquote(url.path).removeprefix("/kept").removeprefix("/")
        if request.method == "PUT":
            self.objects[name] = content(request), request.headers
            return 200, {"ETag": '"1"'}, b""
        if name:
            return 200, {}, self.objects[name][0]
        after = parse_qs(url.query).get("start-after", [""])[0]
        prefix = parse_qs(url.query).get("prefix", [""])[0]
        keys = sorted(key for key in self.objects if key > after and key.startswith(prefix))
        items = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{items}</ListBucketResult>"
        return 200, {"Content-Type": "application/xml"}, text.encode()


def content(request: Request) -> bytes:
    """Return what is put, also when it comes in signed chunks."""
    if "aws-chunked" not in request.headers.get("content-encoding", ""):
        return request.body
    found, rest = b"", request.body
    while True:
        head, _, rest = rest.partition(b"\r\n")
        length = int(head.partition(b";")[0], 16)
        if not length:
            return found
        found, rest = found + rest[:length], rest[length + 2 :]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bucket, Server]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    made = Bucket()
    with https_server(tmp_path) as server:
        server.answer = made.answer
        yield made, server


def url(server: Server, options: str = "") -> str:
    return (
        f"s3://kept/audit/clinic#endpoint=https://{server.address}&ca={server.ca}"
        f"&region=eu-central-1&addressing=path{options}"
    )


def test_a_checkpoint_is_locked_under_a_name_that_sorts(bucket: tuple[Bucket, Server]) -> None:
    made, server = bucket
    note = signed_notes(1)[0].note
    address, sink = open_sink(url(server, "&retain-days=30"))
    address.check_all_taken()
    sink.checkpoint(note)
    sink.close()
    ((name, (body, headers)),) = made.objects.items()
    assert name == "audit/clinic/checkpoints/000001-0000000000000000001.txt"
    assert body.decode() == note
    assert headers["x-amz-object-lock-mode"] == "COMPLIANCE"
    until = datetime.fromisoformat(headers["x-amz-object-lock-retain-until-date"])
    assert abs(until - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
    request = server.requests[-1]
    assert checksum in (headers.get("x-amz-checksum-sha256", "") + request.body.decode())


def test_what_is_kept_from_a_place_on_comes_newest_first(bucket: tuple[Bucket, Server]) -> None:
    made, server = bucket
    notes = [*signed_notes(12), *signed_notes(1, epoch=2)]
    _, sink = open_sink(url(server, "&mode=none"))
    assert isinstance(sink, Remembers)
    for signed in notes:
        sink.checkpoint(signed.note)
    assert all("x-amz-object-lock-mode" not in headers for _, headers in made.objects.values())
    wanted = [signed.note for signed in reversed(notes)]
    assert list(sink.kept((1, 0))) == wanted
    assert list(sink.kept((1, 10))) == wanted[:4]
    assert list(sink.kept((2, 1))) == wanted[:1]
    assert list(sink.kept((2, 2))) == []
    sink.close()


def test_records_go_beside_the_checkpoints(bucket: tuple[Bucket, Server]) -> None:
    made, server = bucket
    _, sink = open_sink(url(server))
    sink.records([record(0), record(1)])
    sink.close()
    ((name, (body, _)),) = made.objects.items()
    assert name.startswith("audit/clinic/records/2026-03-01/")
    assert len(body.splitlines()) == 2


def test_a_refusal_is_a_failure_that_shows_the_code_only(bucket: tuple[Bucket, Server]) -> None:
    _, server = bucket
    text = b"<Error><Code>AccessDenied</Code><Message>key s.123</Message></Error>"
    server.answer = lambda _: (403, {"Content-Type": "application/xml"}, text)
    _, sink = open_sink(url(server))
    with pytest.raises(OSError, match=r"answered AccessDenied$"):
        sink.checkpoint(signed_notes(1)[0].note)
    sink.close()
    with pytest.raises(OSError, match="cannot be reached"):
        _, sink = open_sink("s3://kept#endpoint=https://127.0.0.1:9&region=x")
        sink.checkpoint(signed_notes(1)[0].note)
