"""What an event says, and in which text."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultdb.audit import kinds
from vaultdb.audit.auditor import AuditMode, Auditor, NullAuditor, required
from vaultdb.audit.chain import Chain
from vaultdb.audit.event import Event, Identity, canonical, timestamp
from vaultdb.audit.kinds import BY_NAME, FIRST_OWN_NUMBER, KINDS, EventKind, own_kind
from vaultdb.audit.row_name import RowName
from vaultdb.crypto.row_binding import KeyTag, encode_key_part, row_binding
from vaultdb.errors import ConfigurationError, PrincipalMissing
from vaultdb.guard.principal import Acting, acting_as, current

CHAIN = Chain(bytes(32), UUID(int=1))
LOGIN = Identity("vaultdb_app_1", "entity-7")


def row(*parts: tuple[KeyTag, object]) -> RowName:
    key = row_binding([(tag, encode_key_part(tag, value)) for tag, value in parts])
    return RowName("public.patient", key)


def test_an_event_says_who_why_for_whom_and_through_which_login() -> None:
    acting = Acting("dr-jones", "acme", "treatment", "request-1")
    event = Event(kinds.DATA_READ, {"tables": ["patient"], "columns": ["ssn"]}, acting)

    assert event.body(LOGIN, CHAIN) == (
        '{"columns":["ssn"],"entity":"entity-7","event":"data.read","login":"vaultdb_app_1",'
        '"no":2000,"principal":"dr-jones","purpose":"treatment","request":"request-1",'
        '"tables":["patient"],"tenant":"acme","v":1}'
    )


def test_what_is_not_known_is_left_out() -> None:
    body = Event(kinds.CHAIN_CLOSED, {"reason": None}).body(Identity("app"), CHAIN)

    assert json.loads(body) == {"event": "chain.closed", "login": "app", "no": 1002, "v": 1}


def test_the_tenant_of_the_data_goes_before_that_of_who_acts() -> None:
    event = Event(kinds.DATA_READ, {}, Acting("ann", "acme"), tenant="globex")

    assert json.loads(event.body(LOGIN, CHAIN))["tenant"] == "globex"


def test_a_field_that_the_kind_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no field 'value'; it has reason"):
        Event(kinds.CHAIN_CLOSED, {"value": "secret"})


@pytest.mark.parametrize("value", [1.5, date(2026, 1, 1), b"bytes", {1: "x"}, [object()]])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(ConfigurationError, match="audit field"):
        canonical(value)  # type: ignore[arg-type]


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(value=plain_json)
def test_canonical_json_is_one_ascii_text_and_reads_back(value: object) -> None:
    text = canonical(value)  # type: ignore[arg-type]

    assert text.isascii()
    assert "\x00" not in text  # PostgreSQL cannot store it
    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


def test_integers_and_uuids_are_shown_and_natural_keys_are_not() -> None:
    number, one = row((KeyTag.INTEGER, -7)), row((KeyTag.UUID, UUID(int=9)), (KeyTag.INTEGER, 2))
    natural = row((KeyTag.INTEGER, 1), (KeyTag.TEXT, "900-12-3456"))
    event = Event(kinds.DATA_READ_FINISHED, {"keys": [number, one, natural]})

    keys = json.loads(event.body(LOGIN, CHAIN))["keys"]

    assert keys[:2] == ["-7", "00000000-0000-0000-0000-000000000009,2"]
    assert keys[2] == CHAIN.row_key_digest("public.patient", natural.key)
    assert "3456" not in event.body(LOGIN, CHAIN)
    assert "3456" not in repr(event)


def test_times_are_utc_with_microseconds() -> None:
    summer = datetime(2026, 7, 1, 0, 30, 0, 5, tzinfo=timezone(timedelta(hours=2)))

    assert timestamp(summer) == "2026-06-30T22:30:00.000005Z"
    assert abs(datetime.fromisoformat(timestamp()) - datetime.now(UTC)) < timedelta(minutes=1)


def test_numbers_and_names_are_unique() -> None:
    assert len({kind.number for kind in KINDS}) == len(KINDS) == len(BY_NAME)
    assert all(kind.number < FIRST_OWN_NUMBER for kind in KINDS)
    assert [kind.number for kind in KINDS] == sorted(kind.number for kind in KINDS)


@pytest.mark.parametrize(
    ("number", "name"),
    [(9999, "mine.done"), (10_000, "data.read"), (10_000, "mine"), (10_000, "Mine.done")],
)
def test_an_application_cannot_take_what_belongs_to_vaultdb(number: int, name: str) -> None:
    with pytest.raises(ConfigurationError):
        own_kind(number, name, "")


def test_a_kind_cannot_replace_who_acted() -> None:
    with pytest.raises(ConfigurationError, match="cannot have a field 'principal'"):
        EventKind(10_000, "mine.done", "", ("principal",))


def test_without_a_log_anybody_may_act() -> None:
    auditor = NullAuditor()

    assert isinstance(auditor, Auditor)
    assert auditor.mode is AuditMode.OFF
    assert auditor.require(Acting("ann")) == Acting("ann")
    assert auditor.require(None).principal == "nobody"


def test_who_acts_must_be_known_unless_a_service_is() -> None:
    assert required(Acting("ann"), "billing") == Acting("ann")
    assert required(None, "billing") == Acting("billing")
    with pytest.raises(PrincipalMissing, match="set principal in"):
        required(None, None)


def test_the_request_is_inherited_by_inner_blocks() -> None:
    with acting_as("ann", request="r1"), acting_as("job"):
        assert current() == Acting("job", request="r1")
