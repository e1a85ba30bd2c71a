"""Checkpoints in a file: durable, in order of their place, and whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.unit.jobs.audit.notes import record, signed_notes
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.sinks.file import FileSink
from vaultdb.jobs.audit.sinks.notes import split_notes
from vaultdb.jobs.audit.sinks.opening import open_sink


def opened(path: Path) -> FileSink:
    _, sink = open_sink(path.as_uri())
    assert isinstance(sink, FileSink)
    return sink


def test_notes_are_appended_and_can_be_told_apart(tmp_path: Path) -> None:
    path, notes = tmp_path / "a b.txt", [each.note for each in signed_notes(3)]
    for note in notes:
        sink = opened(path)
        sink.checkpoint(note)
        sink.close()
    assert split_notes(path.read_text()) == notes
    assert path.stat().st_mode & 0o007 == 0


def test_the_newest_kept_comes_first_whatever_the_order_of_writing(tmp_path: Path) -> None:
    one, two, three = [each.note for each in signed_notes(3)]
    (later,) = signed_notes(1, epoch=2)
    sink = opened(tmp_path / "kept")
    for note in (one, later.note, three, two):
        sink.checkpoint(note)
    assert list(sink.kept((1, 0))) == [later.note, three, two, one]
    sink.close()


@pytest.mark.parametrize("cut", range(1, 300, 23))
def test_a_note_that_a_crash_cut_short_harms_no_later_one(tmp_path: Path, cut: int) -> None:
    first, second = [each.note for each in signed_notes(2)]
    path = tmp_path / "kept"
    path.write_text(first + "\n" + second[:cut])
    sink = opened(path)
    sink.checkpoint(second)
    sink.close()
    assert split_notes(path.read_text())[-1] == second
    assert split_notes(path.read_text())[0] == first


def test_a_note_is_on_the_disk_before_it_counts_as_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, synced = opened(tmp_path / "kept"), []
    monkeypatch.setattr(os, "fsync", synced.append)
    sink.checkpoint(signed_notes(1)[0].note)
    assert len(synced) == 1
    sink.close()


def test_records_are_lines_of_json_as_they_were_authenticated(tmp_path: Path) -> None:
    path = tmp_path / "records"
    sink = opened(path)
    sink.records([record(0), record(1)])
    sink.records([record(2)])
    sink.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["seq"] for line in lines] == [0, 1, 2]
    assert lines[0]["body"] == '{"a":"\\u00fc"}'


@pytest.mark.parametrize(
    ("url", "match"),
    [
        ("file://host/etc/x", "begins with /"),
        ("file:///nowhere/at/all", "No such file"),
        ("file:///dev/null#color=red", "no option 'color'"),
        ("/tmp/x", "write file:///"),
        ("http://host/x", "https only"),
        ("gopher://host/x", "known are file, https, otel, s3, syslog"),
        ("https://user:secret@host/x", "token-file"),
        ("s3://bucket#mode=sometimes", "COMPLIANCE"),
        ("syslog+tls://", "name a host"),
        ("https://host/#ca=/nowhere", "no file of CA certificates"),
        ("https://[x", "not a URL"),
    ],
)
def test_an_address_that_cannot_work_is_refused_with_the_remedy(url: str, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match) as caught:
        address, sink = open_sink(url)
        sink.close()
        address.check_all_taken()
    assert "secret" not in str(caught.value)
