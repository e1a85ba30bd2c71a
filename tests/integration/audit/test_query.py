"""The log answers by who, what, which row and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.postgres import Database
from tests.integration.audit.asking import asked, write_day, write_read
from tests.integration.audit.conftest import Audited
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.engine.auditing import open_auditor
from vaultdb.jobs.audit.query_filter import Filter
from vaultdb.jobs.audit.query_keys import Match
from vaultdb.settings import Settings


@pytest.fixture
def auditor(audited: Audited) -> Settings:
    write_day(audited())
    return audited(login="vaultdb_audit_reader")


def names(settings: Settings, wanted: Filter, **options: object) -> list[tuple[str, str]]:
    with asked(settings) as log:
        found = log.find(wanted, **options)  # type: ignore[arg-type]
        return [(each.entry.text("principal"), each.entry.text("id")) for each in found]


def test_a_read_and_its_end_are_one_entry(auditor: Settings) -> None:
    with asked(auditor) as log:
        (entry,) = [each.entry for each in log.find(Filter(principal="billing"))]
    assert (entry.rows, entry.has_more_keys, entry.keys[0]) == (10, True, "20")


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Filter(principal="dr-jones"), ["b", "a"]),
        (Filter(table="visit"), ["b"]),
        (Filter(table="clinic.visit"), ["b"]),
        (Filter(column="patient.name"), ["c", "a"]),
        (Filter(purpose="treatment"), ["a"]),
        (Filter(event="data.read"), ["c", "b", "a"]),
        (Filter(event="2000"), ["c", "b", "a"]),
        (Filter(principal="nobody"), []),
    ],
)
def test_it_finds_what_was_asked_newest_first(
    auditor: Settings, wanted: Filter, ids: list[str]
) -> None:
    assert [id_ for _, id_ in names(auditor, wanted)] == ids


def test_it_answers_in_the_order_of_the_log_too_and_stops_at_the_limit(auditor: Settings) -> None:
    wanted = Filter(event="data.read")
    assert [i for _, i in names(auditor, wanted, oldest_first=True)] == ["a", "b", "c"]
    assert [i for _, i in names(auditor, wanted, oldest_first=True, limit=2)] == ["a", "b"]
    assert [i for _, i in names(auditor, wanted, limit=1)] == ["c"]


def test_an_integer_key_is_found_without_opening_a_chain(auditor: Settings) -> None:
    with asked(auditor) as log:
        found = list(log.find(Filter(table="patient", key="7")))
    assert [(each.entry.text("id"), each.match) for each in found] == [
        ("c", Match.POSSIBLE),
        ("a", Match.YES),
    ]


def test_a_text_key_is_found_by_who_opens_the_chain(
    auditor: Settings, audit_keys: MemoryAuditKeys
) -> None:
    wanted = Filter(table="visit", key="Ann Lee")
    with asked(auditor, audit_keys) as log:
        assert [each.match for each in log.find(wanted)] == [Match.YES]
        assert list(log.find(Filter(table="visit", key="Bob Lee"))) == []
    with asked(auditor) as log:
        finder = log.finder("Ann Lee")
        assert [each.match for each in log.find(wanted, finder=finder)] == [Match.POSSIBLE]
        assert finder.unopened == 1


def test_time_is_compared_with_what_was_authenticated(auditor: Settings) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    assert len(names(auditor, Filter(event="data.read", since=now - hour))) == 3
    assert names(auditor, Filter(since=now + hour)) == []
    assert names(auditor, Filter(until=now - hour)) == []


def test_the_question_is_in_the_log_and_a_key_in_it_is_not_readable(
    auditor: Settings,
) -> None:
    with asked(auditor) as log:
        log.note("query", Filter(table="visit", key="Ann Lee").said())
        (found,) = log.find(Filter(event="audit.queried"))
    assert found.entry.text("principal").startswith("operator:")
    assert found.entry.said["filters"]["key"].startswith("h:")
    assert "Ann Lee" not in found.entry.record.body


def test_what_is_no_json_is_shown_as_that(auditor: Settings, database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "INSERT INTO vaultdb_audit.event (chain, seq, at, body, mac)"
            " SELECT chain, 9999, '2026', repeat('[', 100000), mac FROM vaultdb_audit.event LIMIT 1"
        )
    with asked(auditor) as log:
        found = [each.entry for each in log.find(Filter())]
    assert [entry.event for entry in found].count("malformed") == 1


def test_another_principal_cannot_end_a_read(audited: Audited) -> None:
    with open_auditor(audited()) as writer:
        write_read(writer, "dr-jones", [1], id_="x")
        write_read(writer, "mallory", [2], id_="x")
    with asked(audited(login="vaultdb_audit_reader")) as log:
        found = [each.entry for each in log.find(Filter(principal="dr-jones"))]
    assert [entry.keys for entry in found] == [["1"]]
