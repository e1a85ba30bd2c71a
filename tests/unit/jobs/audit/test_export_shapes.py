"""Events for other programs: OCSF, OpenTelemetry, CSV, a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from opentelemetry._logs import NoOpLoggerProvider, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from vaultdb.audit.chain import Record
from vaultdb.cli.audit_output import csv_row
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.export import ocsf_lines, raw_lines
from vaultdb.jobs.audit.export_ocsf import OcsfClass, as_ocsf
from vaultdb.jobs.audit.export_otel import OtelSink, emit_entries
from vaultdb.jobs.audit.query_entry import Entry
from vaultdb.jobs.audit.sinks.opening import open_sink

CHAIN = UUID(int=7)
AT = "2026-03-01T12:00:00.250000Z"


def record(body: str | None = None, seq: int = 3, **said: Any) -> Record:
    text = json.dumps(said, sort_keys=True, separators=(",", ":")) if body is None else body
    return Record(CHAIN, seq, AT, text, bytes(32))


READ = Entry(
    record(
        no=2000,
        event="data.read",
        principal="dr-jones",
        purpose="treatment",
        tenant="north",
        request="r-1",
        login="vaultdb_app",
        entity="e-7",
        id="00",
        tables=["patient"],
        columns=["patient.ssn"],
        statement="abcd",
    ),
    finished=Entry(record(seq=4, event="data.read-finished", of="00", rows=2, keys=["1", "2"])),
)


def ocsf(entry: Entry) -> dict[str, Any]:
    return as_ocsf(entry, version="1.0", realm="clinic")


def test_a_read_is_datastore_activity() -> None:
    said = ocsf(READ)

    assert (said["category_uid"], said["class_uid"], said["activity_id"]) == (6, 6005, 1)
    assert said["type_uid"] == 600501
    assert said["status_id"] == 1
    assert said["time"] == 1_772_366_400_250
    assert said["actor"]["user"] == {"name": "dr-jones", "uid_alt": "e-7"}
    assert said["table"] == {"name": "patient"}
    assert said["metadata"]["uid"] == f"{CHAIN}:3"
    assert said["metadata"]["tenant_uid"] == "north"
    assert said["metadata"]["event_code"] == "2000"
    assert said["unmapped"]["finished"]["rows"] == 2


@pytest.mark.parametrize(
    ("said", "class_uid", "activity", "status"),
    [
        ({"event": "data.written", "operation": "insert", "table": "p"}, 6005, 6, 1),
        ({"event": "data.written", "operation": "update", "table": "p"}, 6005, 2, 1),
        ({"event": "data.written", "operation": "delete", "table": "p"}, 6005, 7, 1),
        ({"event": "data.searched", "tables": ["p"]}, 6005, 4, 1),
        ({"event": "session.signed-in"}, 6005, 3, 1),
        ({"event": "data.denied", "what": "read", "reason": "KeyDenied"}, 6005, 99, 2),
        ({"event": "data.decryption-failed", "table": "p", "reason": "tag"}, 6005, 1, 2),
        ({"event": "roles.changed"}, 6003, 99, 1),
        ({"event": "data.read", "tables": ["p"]}, 6005, 1, 0),
    ],
)
def test_every_event_has_a_class_and_an_activity(
    said: dict[str, Any], class_uid: int, activity: int, status: int
) -> None:
    shaped = ocsf(Entry(record(**said)))

    assert (shaped["class_uid"], shaped["activity_id"], shaped["status_id"]) == (
        class_uid,
        activity,
        status,
    )
    assert shaped["type_uid"] == class_uid * 100 + activity
    assert OcsfClass(shaped["class_uid"])


@pytest.mark.parametrize("body", ["", "null", "[1]", '{"no":1}', "{" * 2000, '{"event":7}'])
def test_a_body_that_is_no_event_is_exported_as_malformed(body: str) -> None:
    entry = Entry(record(body))

    shaped = ocsf(entry)
    assert shaped["message"] == "malformed"
    assert shaped["unmapped"] == {"malformed": body}
    assert json.loads(next(iter(ocsf_lines([entry], "clinic")))) == shaped | {
        "metadata": shaped["metadata"]
        | {"product": json.loads(next(iter(ocsf_lines([entry], "clinic"))))["metadata"]["product"]}
    }


def test_raw_lines_keep_what_was_authenticated() -> None:
    body = '{"event":"data.read","no":2000}'

    (line,) = raw_lines([record(body)])

    assert json.loads(line) == {
        "chain": str(CHAIN),
        "seq": 3,
        "at": AT,
        "body": body,
        "mac": "00" * 32,
    }


@pytest.fixture
def exporter() -> Iterator[tuple[LoggerProvider, InMemoryLogRecordExporter]]:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


def test_events_become_log_records(
    exporter: tuple[LoggerProvider, InMemoryLogRecordExporter],
) -> None:
    provider, kept = exporter
    denied = Entry(record(event="data.denied", principal="eve", reason="KeyDenied"))

    assert emit_entries([READ, denied], "clinic", provider) == 2

    read, refused = [each.log_record for each in kept.get_finished_logs()]
    assert read.timestamp == 1_772_366_400_250_000_000
    assert read.severity_number is SeverityNumber.INFO
    assert read.body == READ.record.body
    attributes = dict(read.attributes or {})
    assert attributes["event.name"] == "vaultdb.data.read"
    assert attributes["vaultdb.principal"] == "dr-jones"
    assert attributes["vaultdb.rows"] == 2
    assert list(attributes["vaultdb.keys"]) == ["1", "2"]
    assert attributes["vaultdb.chain"] == str(CHAIN)
    assert refused.severity_number is SeverityNumber.WARN


def test_the_sink_sends_records_and_keeps_no_checkpoints(
    exporter: tuple[LoggerProvider, InMemoryLogRecordExporter],
) -> None:
    provider, kept = exporter
    sink = OtelSink("clinic", provider)

    sink.checkpoint("a note")
    sink.records([record("nonsense"), READ.record])
    sink.close()

    names = [
        dict(each.log_record.attributes or {})["event.name"] for each in kept.get_finished_logs()
    ]
    assert names == ["vaultdb.malformed", "vaultdb.data.read"]


def test_without_a_provider_nothing_is_sent_into_the_void() -> None:
    with pytest.raises(ConfigurationError, match="has no logger provider"):
        OtelSink("clinic", NoOpLoggerProvider())


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_does_not_take_a_name_for_a_formula(text: str) -> None:
    (cell,) = csv_row((text,))

    assert cell != text
    assert not str(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert str(cell).endswith(text[1:])


def test_a_url_names_the_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = LoggerProvider()
    monkeypatch.setattr("opentelemetry._logs.get_logger_provider", lambda: provider)

    address, sink = open_sink("otel://clinic")

    assert address.name == "otel://clinic"
    assert isinstance(sink, OtelSink)
    provider.shutdown()
