"""Vault certifies each process that writes the log, once; afterwards the log does without it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from pydantic import SecretStr

from tests.fixtures.openbao import OpenBao
from tests.fixtures.postgres import Database
from tests.integration.audit.noting import auditor_of, noted
from vaultdb.audit.opening import Opening
from vaultdb.engine import create_engine
from vaultdb.errors import AuditUnavailable, VaultDenied, VaultRejected, VaultUnavailable
from vaultdb.settings import Settings
from vaultdb.vault.audit_keys import VaultAuditKeys
from vaultdb.vault.client import VaultClient
from vaultdb.vault.factory import new_client

LOGINS = {"app": "vaultdb_app", "officer": "vaultdb_key_officer", "rotator": "vaultdb_key_rotator"}


def settings_for(role: str, openbao: OpenBao, database: Database) -> Settings:
    return Settings(
        realm=database.realm,
        vault=openbao.settings(role),
        database={"url": SecretStr(database.url_for(LOGINS[role]))},
        audit={"mode": "strict"},
    )


def openings(database: Database) -> list[Opening]:
    with database.connect() as connection:
        rows = connection.execute("SELECT opening FROM vaultdb_audit.chain ORDER BY opened_at")
        return [Opening.parse(text) for (text,) in rows]


class PublicKeys:
    """The keys that certify, as the auditor reads them."""

    def __init__(self, openbao: OpenBao) -> None:
        self._openbao = openbao

    def writer_public_key(self, role: str, version: int) -> bytes | None:
        import base64

        path = f"{self._openbao.transit_mount}/keys/{self._openbao.kek}-writer-{role}"
        key = self._openbao.admin.read(path)["data"]["keys"][str(version)]["public_key"]
        return base64.b64decode(key)


@pytest.mark.parametrize("role", ["app", "officer", "rotator"])
def test_each_role_opens_chains_that_its_vault_key_vouches_for(
    role: str, openbao: OpenBao, database: Database
) -> None:
    engine = create_engine(settings=settings_for(role, openbao, database), role=role)  # type: ignore[arg-type]
    auditor_of(engine).commit(noted("hello"))
    engine.dispose()
    (opening,) = openings(database)
    opening.check(opening.id, str(database.realm), PublicKeys(openbao))
    assert (opening.role, opening.login) == (role, LOGINS[role])
    assert opening.entity
    assert opening.escrow.startswith("vault:v1:")
    with database.connect() as connection:
        (body,) = connection.execute(
            "SELECT body FROM vaultdb_audit.event WHERE seq = 1"
        ).fetchone() or ("{}",)
    assert json.loads(body)["entity"] == opening.entity


def test_the_auditor_opens_the_escrow_with_vault(openbao: OpenBao, database: Database) -> None:
    engine = create_engine(settings=settings_for("app", openbao, database))
    auditor_of(engine).commit(noted("hello"))
    engine.dispose()
    (opening,) = openings(database)
    path = f"{openbao.transit_mount}/decrypt/{openbao.kek}-escrow"
    with closing(new_client(openbao.settings("auditor"))) as client:
        answer = client.call(
            lambda vault: vault.adapter.post(f"/v1/{path}", json={"ciphertext": opening.escrow})
        )
    assert len(answer["data"]["plaintext"]) == 44


def test_a_process_asks_vault_three_times_and_then_never_again(
    openbao: OpenBao, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It logs in, reads the escrow's public key and has its own key certified."""
    engine = create_engine(settings=settings_for("app", openbao, database))
    asked = _count_calls(monkeypatch)
    auditor_of(engine).commit(noted("first"))
    assert len(asked) == 2
    with engine.begin() as connection:
        auditor_of(engine).write(connection, noted("another chain"))
    assert len(asked) == 2
    engine.dispose()


def test_an_outage_of_vault_after_the_first_event_does_not_stop_the_log(
    openbao: OpenBao, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(settings=settings_for("app", openbao, database))
    auditor_of(engine).commit(noted("first"))
    with _outage(monkeypatch), engine.begin() as connection:
        auditor_of(engine).write(connection, noted("another chain"))
    engine.dispose()
    assert len(openings(database)) == 2


def test_an_outage_of_vault_before_the_first_event_refuses_it(
    openbao: OpenBao, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(settings=settings_for("app", openbao, database))
    with _outage(monkeypatch), pytest.raises(AuditUnavailable, match="vault is away"):
        auditor_of(engine).commit(noted("refused"))
    auditor_of(engine).commit(noted("works again"))
    engine.dispose()


def test_a_role_cannot_certify_for_another_one(openbao: OpenBao) -> None:
    with closing(new_client(openbao.settings("app"))) as client:
        keys = _keys(client, openbao, role="officer")
        with pytest.raises(VaultDenied):
            keys.certify(b"statement")


def test_a_newer_escrow_key_is_found_after_an_hour_unless_vault_is_away(
    openbao: OpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    key = _new_escrow(openbao, "rsa-3072")
    with closing(openbao.client()) as client:
        keys = _keys(client, openbao, kek=key, clock=lambda: now)
        assert keys.escrow().version == 1
        openbao.admin.write(f"{openbao.transit_mount}/keys/{key}-escrow/rotate")
        assert keys.escrow().version == 1
        now = 3_601.0
        with _outage(monkeypatch):
            assert keys.escrow().version == 1
        now = 7_300.0
        assert keys.escrow().version == 2


def test_an_escrow_that_is_too_weak_is_refused(openbao: OpenBao) -> None:
    key = _new_escrow(openbao, "rsa-2048")
    with (
        closing(openbao.client()) as client,
        pytest.raises(VaultRejected, match="no RSA key of 3072 bits"),
    ):
        _keys(client, openbao, kek=key).escrow()


def _new_escrow(openbao: OpenBao, kind: str) -> str:
    """Make an escrow key of this kind, for a log of its own; return the KEK's name."""
    kek = f"kek-{secrets.token_hex(4)}"
    openbao.admin.write(f"{openbao.transit_mount}/keys/{kek}-escrow", type=kind)
    return kek


def _keys(
    client: VaultClient,
    openbao: OpenBao,
    *,
    role: str = "app",
    kek: str | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> VaultAuditKeys:
    return VaultAuditKeys(
        client, mount=openbao.transit_mount, kek=kek or openbao.kek, roles=(role,), _clock=clock
    )


def _count_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    asked: list[int] = []
    call = VaultClient.call

    def counting(self: VaultClient, *args: object, **kwargs: object) -> object:
        asked.append(1)
        return call(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(VaultClient, "call", counting)
    return asked


@contextmanager
def _outage(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def away(*_args: object, **_kwargs: object) -> object:
        raise VaultUnavailable("vault is away")

    with monkeypatch.context() as patched:
        patched.setattr(VaultClient, "call", away)
        yield
