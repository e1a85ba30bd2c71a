"""Only a process that Vault certified opens a chain."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import asdict, replace
from uuid import UUID

import pytest

from vaultdb.audit.chain import Chain
from vaultdb.audit.keys import AuditKeys, CheckpointSigner, EscrowOpener, WriterKeys
from vaultdb.audit.memory import MemoryAuditKeys
from vaultdb.audit.opening import Opening, OpeningError, Writer, opening_digest

KEYS = MemoryAuditKeys("app", "entity-7")
WRITER = Writer.certified("clinic", KEYS)


@pytest.fixture(scope="module")
def opened() -> tuple[Chain, Opening]:
    return WRITER.open("vaultdb_app_1", KEYS.escrow())


def test_the_keys_in_memory_do_all_that_vault_does() -> None:
    assert isinstance(KEYS, AuditKeys)
    assert isinstance(KEYS, EscrowOpener)
    assert isinstance(KEYS, WriterKeys)
    assert isinstance(KEYS, CheckpointSigner)


def test_an_opening_survives_storage_and_holds(opened: tuple[Chain, Opening]) -> None:
    chain, opening = opened

    stored = Opening.parse(opening.text())
    stored.check(chain.id, "clinic", KEYS)

    assert stored == opening
    assert stored.id == chain.id
    assert (stored.role, stored.login, stored.entity) == ("app", "vaultdb_app_1", "entity-7")
    assert stored.pid == os.getpid()


def test_the_escrow_gives_the_auditor_the_first_key(opened: tuple[Chain, Opening]) -> None:
    chain, opening = opened
    (first_key,) = KEYS.open([opening.escrow])
    assert first_key is not None

    again = Chain(first_key, chain.id)

    assert again.link("at", "{}") == chain.link("at", "{}")


def test_the_escrow_of_other_keys_does_not_open(opened: tuple[Chain, Opening]) -> None:
    _, opening = opened

    assert MemoryAuditKeys().open([opening.escrow, "nonsense"]) == [None, None]


@pytest.mark.parametrize(
    "changed",
    [
        {"login": "vaultdb_admin_1"},
        {"entity": None},
        {"at": "2020-01-01T00:00:00.000000Z"},
        {"escrow": "vault:v1:AAAA"},
        {"process": "0" * 16},
        {"pid": 1},
        {"host": "elsewhere"},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": "no base64"},
    ],
    ids=str,
)
def test_a_changed_opening_is_refused(
    opened: tuple[Chain, Opening], changed: dict[str, object]
) -> None:
    chain, opening = opened

    with pytest.raises(OpeningError, match="changed after the process signed it"):
        replace(opening, **changed).check(chain.id, "clinic", KEYS)  # type: ignore[arg-type]


def test_a_process_that_vault_did_not_certify_opens_nothing(opened: tuple[Chain, Opening]) -> None:
    _, honest = opened
    forger = Writer.certified("clinic", MemoryAuditKeys("app"))
    chain, opening = forger.open("vaultdb_app_1", KEYS.escrow())

    with pytest.raises(OpeningError, match="did not certify the process"):
        opening.check(chain.id, "clinic", KEYS)
    with pytest.raises(OpeningError, match="did not certify the process"):
        replace(opening, certificate=honest.certificate).check(chain.id, "clinic", KEYS)


def test_a_certificate_is_for_one_role_realm_and_time(opened: tuple[Chain, Opening]) -> None:
    chain, opening = opened

    with pytest.raises(OpeningError, match="no known key certifies"):
        replace(opening, role="owner").check(chain.id, "clinic", KEYS)
    with pytest.raises(OpeningError, match="another chain or realm"):
        opening.check(chain.id, "office", KEYS)
    with pytest.raises(OpeningError, match="another chain or realm"):
        opening.check(UUID(int=1), "clinic", KEYS)
    with pytest.raises(OpeningError, match="did not certify the process"):
        replace(opening, issued="2030-01-01T00:00:00.000000Z").check(chain.id, "clinic", KEYS)


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", "null", '{"v":1}'])
def test_what_is_no_opening_is_refused(text: str) -> None:
    with pytest.raises(OpeningError, match="cannot be read"):
        Opening.parse(text)


@pytest.mark.parametrize(
    "changed", [{"pid": True}, {"pid": "1"}, {"login": 1}, {"chain": "no id"}, {"more": "x"}]
)
def test_an_opening_with_wrong_types_is_refused(
    opened: tuple[Chain, Opening], changed: dict[str, object]
) -> None:
    text = json.dumps(asdict(opened[1]) | changed, sort_keys=True, separators=(",", ":"))

    with pytest.raises(OpeningError):
        Opening.parse(text)


def test_an_opening_in_another_spelling_is_refused(opened: tuple[Chain, Opening]) -> None:
    with pytest.raises(OpeningError, match="canonical form"):
        Opening.parse(json.dumps(asdict(opened[1])))


def test_no_secret_is_shown(opened: tuple[Chain, Opening]) -> None:
    (first_key,) = KEYS.open([opened[1].escrow])
    assert first_key is not None

    assert "private_key" not in repr(WRITER)
    assert first_key.hex() not in opened[1].text()
    assert len(opening_digest(opened[1].text())) == 64
