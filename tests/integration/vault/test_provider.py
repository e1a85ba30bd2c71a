"""The vault provider on a real OpenBao."""

from __future__ import annotations

from tests.fixtures.openbao import OpenBao
from vaultdb.vault.factory import new_client
from vaultdb.vault.providers.vault import VaultProvider


def test_the_officers_key_is_unwrapped_by_the_app(openbao: OpenBao) -> None:
    officer = VaultProvider(new_client(openbao.settings("officer")), mount=openbao.transit_mount, kek=openbao.kek)
    app = VaultProvider(new_client(openbao.settings("app")), mount=openbao.transit_mount, kek=openbao.kek)
    dek, wrapped, version = officer.create(b"context")
    assert app.unwrap([(wrapped, b"context")]) == [dek]
    assert version == 1
    officer.close()
    app.close()
