"""What each role may do on a real OpenBao, and what it must not."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import hvac
import pytest

from tests.integration.vault.conftest import KEK, Place
from vaultdb.errors import VaultDenied, VaultError
from vaultdb.vault.client import VaultClient
from vaultdb.vault.login import TokenLogin
from vaultdb.vault.policies import Role

CONTEXT = base64.b64encode(b"context").decode()
Operation = Callable[[hvac.Client, str, str], Any]


def post(path: str, **body: Any) -> Operation:
    return lambda vault, mount, wrapped: vault.adapter.post(
        f"/v1/{path.format(mount=mount)}",
        json={
            name: value.format(wrapped=wrapped) if isinstance(value, str) else value
            for name, value in body.items()
        },
    )


def get(path: str) -> Operation:
    return lambda vault, mount, _: vault.adapter.get(f"/v1/{path.format(mount=mount)}")


def delete(path: str) -> Operation:
    return lambda vault, mount, _: vault.adapter.delete(f"/v1/{path.format(mount=mount)}")


WRAPPED = {"ciphertext": "{wrapped}", "context": CONTEXT}
CONFIG = f"{{mount}}/keys/{KEK}/config"
OPERATIONS: dict[str, tuple[Operation, set[Role]]] = {
    "read the key": (get(f"{{mount}}/keys/{KEK}"), set(Role)),
    "look up its token": (get("auth/token/lookup-self"), set(Role)),
    "renew its token": (post("auth/token/renew-self"), set(Role)),
    "unwrap": (post(f"{{mount}}/decrypt/{KEK}", **WRAPPED), {Role.APP, Role.REENCRYPTOR}),
    "make a DEK": (post(f"{{mount}}/datakey/plaintext/{KEK}", context=CONTEXT), {Role.OFFICER}),
    "make a wrapped DEK": (post(f"{{mount}}/datakey/wrapped/{KEK}", context=CONTEXT), set()),
    "rewrap": (post(f"{{mount}}/rewrap/{KEK}", **WRAPPED), {Role.ROTATOR}),
    "rotate": (post(f"{{mount}}/keys/{KEK}/rotate"), {Role.ROTATOR}),
    "raise the minimum": (post(CONFIG, min_decryption_version=1), {Role.OFFICER}),
    "make it exportable": (post(CONFIG, exportable=True), set()),
    "allow its deletion": (post(CONFIG, deletion_allowed=True), set()),
    "smuggle that in": (post(CONFIG, min_decryption_version=1, deletion_allowed=True), set()),
    "encrypt": (post(f"{{mount}}/encrypt/{KEK}", plaintext=CONTEXT, context=CONTEXT), set()),
    "create by encrypting": (post("{mount}/encrypt/new", plaintext=CONTEXT), set()),
    "create a key": (post("{mount}/keys/new"), set()),
    "export": (get(f"{{mount}}/export/encryption-key/{KEK}"), set()),
    "back up": (get(f"{{mount}}/backup/{KEK}"), set()),
    "trim": (post(f"{{mount}}/keys/{KEK}/trim", min_available_version=1), set()),
    "delete": (delete(f"{{mount}}/keys/{KEK}"), set()),
    "soft-delete": (delete(f"{{mount}}/keys/{KEK}/soft-delete"), set()),
    "list keys": (get("{mount}/keys?list=true"), set()),
    "unwrap with another key": (post("{mount}/decrypt/other", **WRAPPED), set()),
    "read another key": (get("{mount}/keys/other"), set()),
    "rotate another key": (post("{mount}/keys/other/rotate"), set()),
    "rewrap with another key": (post("{mount}/rewrap/other", **WRAPPED), set()),
    "make a token": (post("auth/token/create"), set()),
    "read policies": (get("sys/policies/acl?list=true"), set()),
    "change a policy": (post("sys/policies/acl/new", policy=""), set()),
    "issue a secret id": (post("auth/approle/role/vaultdb-app/secret-id"), set()),
}


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_its_work_and_nothing_else(place: Place, role: Role) -> None:
    place.admin.write(f"{place.mount}/keys/other", type="aes256-gcm96", derived=True)
    wrapped = place.admin.write(f"{place.mount}/datakey/plaintext/{KEK}", context=CONTEXT)
    token = place.token(role)
    client = place.client(TokenLogin(lambda: token))
    allowed = {
        name
        for name, (operation, _) in OPERATIONS.items()
        if is_allowed(client, operation, place.mount, wrapped["data"]["ciphertext"])
    }
    assert allowed == {name for name, (_, roles) in OPERATIONS.items() if role in roles}
    client.close()


def is_allowed(client: VaultClient, operation: Operation, mount: str, wrapped: str) -> bool:
    """Whether Vault allows it; an error of another kind than 403 means that it did."""
    try:
        client.call(lambda vault: operation(vault, mount, wrapped), repeatable=False)
    except VaultDenied:
        return False
    except VaultError as error:
        raise AssertionError(f"not a clean answer: {error}") from None
    return True


def test_an_app_that_creates_keys_may_also_make_deks(place: Place) -> None:
    name = place.policy("app", create_keys=True)
    token = place.admin.write("auth/token/create", policies=[name], no_default_policy=True)
    secret = token["auth"]["client_token"]
    client = place.client(TokenLogin(lambda: secret))
    assert is_allowed(client, OPERATIONS["make a DEK"][0], place.mount, "")
    assert not is_allowed(client, OPERATIONS["rotate"][0], place.mount, "")
    client.close()
