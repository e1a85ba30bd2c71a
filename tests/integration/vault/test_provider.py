"""The vault provider and a keyring on a real OpenBao."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.fixtures.openbao import OpenBao
from tests.integration.vault.conftest import KEK, Place
from vaultdb.errors import ConfigurationError, KeyDenied
from vaultdb.keys import Keyring, KeyScope, MemoryKeyStore, Purpose, create_key
from vaultdb.vault.factory import new_client
from vaultdb.vault.login import TokenLogin
from vaultdb.vault.providers.vault import VaultProvider

REALM = UUID("6f1d0c5e-7d5c-4a39-9a2e-0e5b7b7d3a11")


def test_the_officers_key_is_unwrapped_by_the_app(openbao: OpenBao) -> None:
    def provider(role: str) -> VaultProvider:
        client = new_client(openbao.settings(role))
        return VaultProvider(client, mount=openbao.transit_mount, kek=openbao.kek)

    officer, app = provider("officer"), provider("app")
    dek, wrapped, version = officer.create(b"context")
    assert len(dek) == 32
    assert app.unwrap([(wrapped, b"context")]) == [dek]
    assert wrapped.startswith(f"vault:v{version}:")
    officer.close()
    app.close()


def test_a_wrapped_dek_is_bound_to_its_context(place: Place) -> None:
    officer, app = place.provider("officer"), place.provider("app")
    dek, wrapped, _ = officer.create(b"tenant a")
    good, bad = app.unwrap([(wrapped, b"tenant a"), (wrapped, b"tenant b")])
    assert good == dek
    assert isinstance(bad, KeyDenied)
    assert "altered or belongs to another context" in str(bad)


def test_a_rotator_moves_deks_without_seeing_them(place: Place) -> None:
    officer, app, rotator = map(place.provider, ("officer", "app", "rotator"))
    made = [officer.create(b"%d" % number) for number in range(100)]
    assert rotator.rotate() == 2
    keys = [(wrapped, b"%d" % number) for number, (_, wrapped, _) in enumerate(made)]
    spoilt = [*keys[:-1], (keys[-1][0], b"another context")]
    results = rotator.rewrap(spoilt)
    assert isinstance(results[-1], KeyDenied), "a failed item comes with status 200"
    moved = [result for result in results if not isinstance(result, Exception)]
    assert {version for _, version in moved} == {2}
    again = app.unwrap(
        [(wrapped, context) for (wrapped, _), (_, context) in zip(moved, keys[:-1], strict=True)]
    )
    assert again == [dek for dek, _, _ in made[:-1]]
    with pytest.raises(KeyDenied, match="its policy does not allow"):
        rotator.unwrap(keys)
    with pytest.raises(KeyDenied):
        app.create(b"context")


def test_an_underived_kek_is_refused(place: Place) -> None:
    """On such a key the server takes any context for the right one."""
    place.admin.write(f"{place.mount}/keys/plain", type="aes256-gcm96")
    secret = place.admin.token
    client = place.client(TokenLogin(lambda: secret))
    provider = VaultProvider(client, mount=place.mount, kek="plain")
    with pytest.raises(ConfigurationError, match="not derived"):
        provider.create(b"context")
    client.close()


def test_an_exportable_kek_is_refused(place: Place) -> None:
    place.admin.write(f"{place.mount}/keys/{KEK}/config", exportable=True)
    with pytest.raises(ConfigurationError, match="can be exported"):
        place.provider("app").check()


def test_a_missing_kek_is_named(place: Place) -> None:
    secret = place.admin.token
    client = place.client(TokenLogin(lambda: secret))
    with pytest.raises(KeyDenied, match=f"{place.mount}/keys/nothing"):
        VaultProvider(client, mount=place.mount, kek="nothing").check()
    client.close()


def test_250_deks_are_loaded_with_three_calls(place: Place) -> None:
    """More than 249 items in one request would be refused as too complex."""
    officer, store = place.provider("officer"), MemoryKeyStore()
    scopes = [KeyScope(f"tenant-{number}", "default", Purpose.DATA) for number in range(250)]
    for scope in scopes:
        create_key(officer, store, REALM, scope, 1)
    keyring = Keyring(realm=REALM, provider=place.provider("app"), store=store)
    keyring.load(scopes)
    assert (keyring.counters.provider_calls, keyring.counters.unwraps) == (3, 250)
    assert keyring.active("tenant-249", "default").version == 1
    keyring.close()
    officer.close()


def test_a_version_below_the_minimum_is_denied_and_named(place: Place) -> None:
    officer, store = place.provider("officer"), MemoryKeyStore()
    old = create_key(officer, store, REALM, KeyScope("", "default", Purpose.DATA), 1)
    place.admin.write(f"{place.mount}/keys/{KEK}/rotate")
    create_key(officer, store, REALM, KeyScope("", "default", Purpose.DATA), 2)
    place.admin.write(f"{place.mount}/keys/{KEK}/config", min_decryption_version=2)
    keyring = Keyring(realm=REALM, provider=place.provider("app"), store=store)
    assert keyring.active("", "default").version == 2
    with pytest.raises(KeyDenied, match="below min_decryption_version"):
        keyring.get(old.key_id)
    keyring.close()
