"""What each role may do on a real OpenBao, and what it must not: every role tries everything."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import hvac
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.fixtures.leasing import Leasing
from vaultdb.errors import VaultDenied, VaultError
from vaultdb.vault.client import VaultClient
from vaultdb.vault.endpoint import Endpoint
from vaultdb.vault.lease_names import Lease
from vaultdb.vault.login import TokenLogin
from vaultdb.vault.policies import (
    ALL_TENANTS,
    LEASES,
    Role,
    certificate_role,
    render_policy,
    writer_key,
)
from vaultdb.vault.tenant_kek import tenant_kek
from vaultdb.vault.transit import KEK_BODY

CONTEXT = base64.b64encode(b"context").decode()
KEK = "kek"
REALM = UUID(int=1)
TENANT, GLOBEX = tenant_kek(KEK, REALM, "acme"), tenant_kek(KEK, REALM, "globex")
ALL = frozenset(Role)
HAS_LOGIN = frozenset(LEASES)


@dataclass
class Place:
    """A transit mount of this test's own, and what the operations are tried on."""

    leasing: Leasing
    mount: str
    values: dict[str, str]

    def client(self, role: Role, **options: Any) -> VaultClient:
        admin = self.leasing.admin
        text = render_policy(role, mount=self.mount, kek=KEK, **options)
        admin.write(f"sys/policies/acl/{self.mount}", policy=text)
        body = {"policies": [self.mount], "no_default_policy": True, "ttl": "5m"}
        token = admin.write("auth/token/create", **body)["auth"]["client_token"]
        return VaultClient(Endpoint(admin.address, admin.authority), TokenLogin(lambda: token))

    def own_lease(self, role: Role) -> None:
        """Let the operations on leases find one of the role's own, and one of nobody's."""
        if role in LEASES:
            path = f"{self.leasing.mount}/creds/{LEASES[role].engine_role}"
            self.values["own_lease"] = self.leasing.admin.read(path)["lease_id"]


@pytest.fixture
def place(shared_leasing: Leasing) -> Iterator[Place]:
    leasing = shared_leasing
    mount, admin = f"keys-{secrets.token_hex(4)}", leasing.admin
    admin.write(f"sys/mounts/{mount}", type="transit")
    for name in (KEK, "other"):
        admin.write(f"{mount}/keys/{name}", type="aes256-gcm96", derived=True)
    admin.write(f"{mount}/keys/{KEK}-checkpoint", type="ed25519")
    admin.write(f"{mount}/keys/{KEK}-escrow", type="rsa-2048")
    for role in Role:
        admin.write(f"{mount}/keys/{writer_key(KEK, role)}", type="ed25519")
    for name in (TENANT, GLOBEX):
        admin.write(f"{mount}/keys/{name}", **KEK_BODY)
    wrapped, of_tenant = (
        admin.write(f"{mount}/datakey/wrapped/{name}", context=CONTEXT)["data"]["ciphertext"]
        for name in (KEK, TENANT)
    )
    escrowed = admin.write(f"{mount}/encrypt/{KEK}-escrow", plaintext=CONTEXT)["data"]["ciphertext"]
    other = admin.read(f"{leasing.mount}/creds/vaultdb-app-rw")["lease_id"]
    stranger = other.replace("vaultdb-app-rw", "stranger")
    values = {"mount": mount, "db": leasing.mount, "wrapped": wrapped, "escrowed": escrowed}
    values |= {"of_tenant": of_tenant}
    values |= {"own_lease": stranger, "foreign_lease": stranger}
    yield Place(leasing, mount, values)
    admin._call("DELETE", f"sys/mounts/{mount}", None)
    admin._call("DELETE", f"sys/policies/acl/{mount}", None)


Operation = Callable[[hvac.Client, dict[str, str]], Any]


def request(method: str, path: str, body: dict[str, Any] | None = None) -> Operation:
    def operation(vault: hvac.Client, values: dict[str, str]) -> Any:
        filled = {
            name: value.format(**values) if isinstance(value, str) else value
            for name, value in (body or {}).items()
        }
        options = {} if body is None else {"json": filled}
        return vault.adapter.request(method, f"/v1/{path.format(**values)}", **options)

    return operation


def get(path: str) -> Operation:
    return request("get", path)


def post(path: str, **body: Any) -> Operation:
    return request("post", path, body)


def delete(path: str) -> Operation:
    return request("delete", path)


def certificate_request(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def may_sign(role: Role) -> frozenset[Role]:
    return frozenset(each for each in HAS_LOGIN if certificate_role(each) == f"vaultdb-{role}")


APP, OFFICER, ROTATOR, REENCRYPTOR = Role.APP, Role.OFFICER, Role.ROTATOR, Role.REENCRYPTOR
SHREDDER, SEQUENCER, AUDITOR = Role.SHREDDER, Role.SEQUENCER, Role.AUDITOR
WRAPPED = {"ciphertext": "{wrapped}", "context": CONTEXT}
KEY = f"{{mount}}/keys/{KEK}"
CONFIG = f"{KEY}/config"
CHECKPOINT, ESCROW = f"{KEK}-checkpoint", f"{KEK}-escrow"

OPERATIONS: dict[str, tuple[Operation, frozenset[Role] | set[Role]]] = {
    # the KEK
    "read the key": (get(KEY), {APP, REENCRYPTOR, OFFICER, ROTATOR, SHREDDER}),
    "unwrap": (post(f"{{mount}}/decrypt/{KEK}", **WRAPPED), {APP, REENCRYPTOR}),
    "make a DEK": (post(f"{{mount}}/datakey/plaintext/{KEK}", context=CONTEXT), {OFFICER}),
    "make a wrapped DEK": (post(f"{{mount}}/datakey/wrapped/{KEK}", context=CONTEXT), set()),
    "rewrap": (post(f"{{mount}}/rewrap/{KEK}", **WRAPPED), {ROTATOR}),
    "rotate": (post(f"{KEY}/rotate"), {ROTATOR}),
    "raise the minimum": (post(CONFIG, min_decryption_version=1), {OFFICER}),
    "make it exportable": (post(CONFIG, exportable=True), set()),
    "allow plaintext backups": (post(CONFIG, allow_plaintext_backup=True), set()),
    "smuggle deletion in": (post(CONFIG, min_decryption_version=1, deletion_allowed=True), set()),
    "encrypt": (post(f"{{mount}}/encrypt/{KEK}", plaintext=CONTEXT, context=CONTEXT), set()),
    "hmac": (post(f"{{mount}}/hmac/{KEK}", input=CONTEXT), set()),
    "create by encrypting": (post("{mount}/encrypt/new", plaintext=CONTEXT), set()),
    "create a key": (post("{mount}/keys/new"), set()),
    "export": (get(f"{{mount}}/export/encryption-key/{KEK}"), set()),
    "back up": (get(f"{{mount}}/backup/{KEK}"), set()),
    "restore": (post(f"{{mount}}/restore/{KEK}", backup=""), set()),
    "trim": (post(f"{KEY}/trim", min_available_version=1), set()),
    "soft-delete": (delete(f"{KEY}/soft-delete"), set()),
    "list keys": (get("{mount}/keys?list=true"), set()),
    "change the mount's keys": (post("{mount}/config/keys", disable_upsert=False), set()),
    # another key
    "unwrap with another key": (post("{mount}/decrypt/other", **WRAPPED), set()),
    "read another key": (get("{mount}/keys/other"), set()),
    "rotate another key": (post("{mount}/keys/other/rotate"), set()),
    "rewrap with another key": (post("{mount}/rewrap/other", **WRAPPED), set()),
    "delete another key": (delete("{mount}/keys/other"), set()),
    # the audit's keys
    "sign a checkpoint": (post(f"{{mount}}/sign/{CHECKPOINT}", input=CONTEXT), {SEQUENCER}),
    "read the checkpoint key": (get(f"{{mount}}/keys/{CHECKPOINT}"), {SEQUENCER, AUDITOR}),
    "rotate the checkpoint key": (post(f"{{mount}}/keys/{CHECKPOINT}/rotate"), set()),
    "export the checkpoint key": (get(f"{{mount}}/export/signing-key/{CHECKPOINT}"), set()),
    "open the escrow": (post(f"{{mount}}/decrypt/{ESCROW}", ciphertext="{escrowed}"), {AUDITOR}),
    "read the escrow key": (get(f"{{mount}}/keys/{ESCROW}"), ALL),
    "export the escrow key": (get(f"{{mount}}/export/encryption-key/{ESCROW}"), set()),
    **{
        f"certify a process of {role}": (
            post(f"{{mount}}/sign/{writer_key(KEK, role)}", input=CONTEXT),
            {role},
        )
        for role in Role
    },
    "read a certifying key": (get(f"{{mount}}/keys/{writer_key(KEK, APP)}"), {AUDITOR}),
    "rotate a certifying key": (post(f"{{mount}}/keys/{writer_key(KEK, APP)}/rotate"), set()),
    # logins
    **{
        f"lease {lease}": (
            get(f"{{db}}/creds/{lease.engine_role}"),
            frozenset(role for role in HAS_LOGIN if LEASES[role] is lease),
        )
        for lease in Lease
    },
    "renew its lease": (post("sys/leases/renew", lease_id="{own_lease}"), HAS_LOGIN),
    "renew somebody's lease": (post("sys/leases/renew", lease_id="{foreign_lease}"), set()),
    "revoke its lease": (post("sys/leases/revoke", lease_id="{own_lease}"), HAS_LOGIN),
    "revoke somebody's lease": (post("sys/leases/revoke", lease_id="{foreign_lease}"), set()),
    "revoke all leases": (post("sys/leases/revoke-prefix/{db}"), set()),
    "list leases": (get("sys/leases/lookup/{db}/creds/vaultdb-app-rw?list=true"), set()),
    "read the connection": (get("{db}/config/vaultdb"), set()),
    "change the connection": (post("{db}/config/vaultdb", allowed_roles="*"), set()),
    "rotate the engine's password": (post("{db}/rotate-root/vaultdb"), set()),
    "change a leased login": (post("{db}/roles/vaultdb-app-rw", db_name="vaultdb"), set()),
    # certificates
    **{
        f"sign as {role}": (
            post(
                f"vaultdb-pki/sign/vaultdb-{role}",
                csr=certificate_request(f"vaultdb-{role}"),
                common_name=f"vaultdb-{role}",
            ),
            may_sign(role),
        )
        for role in HAS_LOGIN - {REENCRYPTOR}
    },
    "issue with a key of vault's": (post("vaultdb-pki/issue/vaultdb-app"), set()),
    "sign whatever it says": (post("vaultdb-pki/sign-verbatim", csr=""), set()),
    "change a certificate role": (post("vaultdb-pki/roles/vaultdb-app"), set()),
    "make another authority": (post("vaultdb-pki/root/generate/internal"), set()),
    # itself and the system
    "look up its token": (get("auth/token/lookup-self"), ALL),
    "ask what it may": (post("sys/capabilities-self", paths=["sys/mounts"]), ALL),
    "renew its token": (post("auth/token/renew-self"), ALL),
    "make a token": (post("auth/token/create"), set()),
    "read policies": (get("sys/policies/acl?list=true"), set()),
    "read its own policy": (get("sys/policies/acl/{mount}"), set()),
    "change a policy": (post("sys/policies/acl/new", policy=""), set()),
    "read a role id": (get("auth/approle/role/vaultdb-app/role-id"), set()),
    "issue a secret id": (post("auth/approle/role/vaultdb-app/secret-id"), set()),
    "change an approle": (post("auth/approle/role/vaultdb-app"), set()),
    "list mounts": (get("sys/mounts"), set()),
    "mount": (post("sys/mounts/new", type="kv"), set()),
    "unmount": (delete("sys/mounts/{mount}"), set()),
    "list audit devices": (get("sys/audit"), set()),
    "seal": (post("sys/seal"), set()),
    "read the raw storage": (get("sys/raw/core"), set()),
    "take a snapshot": (get("sys/storage/raft/snapshot"), set()),
    # the last ones, for the key is gone then
    "allow deletion": (post(CONFIG, deletion_allowed=True), {SHREDDER}),
    "delete the key": (delete(KEY), {SHREDDER}),
    "revoke its token": (post("auth/token/revoke-self"), ALL),
}


@pytest.mark.parametrize("role", Role)
def test_a_role_may_do_its_work_and_nothing_else(place: Place, role: Role) -> None:
    place.own_lease(role)
    with closing(place.client(role)) as client:
        allowed = {
            name
            for name, (operation, _) in OPERATIONS.items()
            if is_allowed(client, operation, place.values)
        }
    assert allowed == {name for name, (_, roles) in OPERATIONS.items() if role in roles}


TENANT_WRAPPED = {"ciphertext": "{of_tenant}", "context": CONTEXT}
TENANT_KEY = f"{{mount}}/keys/{TENANT}"
NEW = f"{{mount}}/keys/{KEK}-tenant-new"

TENANT_OPERATIONS: dict[str, tuple[Operation, frozenset[Role] | set[Role]]] = {
    "read the key": (get(TENANT_KEY), {APP, REENCRYPTOR, ROTATOR, SHREDDER}),
    "unwrap": (post(f"{{mount}}/decrypt/{TENANT}", **TENANT_WRAPPED), {APP, REENCRYPTOR}),
    "make a DEK": (post(f"{{mount}}/datakey/plaintext/{TENANT}", context=CONTEXT), {OFFICER}),
    "make a wrapped DEK": (post(f"{{mount}}/datakey/wrapped/{TENANT}", context=CONTEXT), set()),
    "rewrap": (post(f"{{mount}}/rewrap/{TENANT}", **TENANT_WRAPPED), {ROTATOR}),
    # The shredder's rule cannot do without, as Vault has no glob that stops at a slash.
    "rotate": (post(f"{TENANT_KEY}/rotate"), {ROTATOR, SHREDDER}),
    "raise the minimum": (post(f"{TENANT_KEY}/config", min_decryption_version=1), set()),
    "make it exportable": (post(f"{TENANT_KEY}/config", exportable=True), set()),
    "make it exportable, as it is made": (
        post(f"{TENANT_KEY}/config", **KEK_BODY | {"exportable": True}),
        set(),
    ),
    "allow plaintext backups": (post(f"{TENANT_KEY}/config", allow_plaintext_backup=True), set()),
    "encrypt": (post(f"{{mount}}/encrypt/{TENANT}", plaintext=CONTEXT, context=CONTEXT), set()),
    "export": (get(f"{{mount}}/export/encryption-key/{TENANT}"), set()),
    "back up": (get(f"{{mount}}/backup/{TENANT}"), set()),
    "trim": (post(f"{TENANT_KEY}/trim", min_available_version=1), set()),
    "import a version": (post(f"{TENANT_KEY}/import_version", ciphertext=CONTEXT), set()),
    "make a tenant's key": (post(NEW, **KEK_BODY), {OFFICER}),
    "make one that is exportable": (post(NEW, **KEK_BODY | {"exportable": True}), set()),
    "make one that is not derived": (post(NEW, type="aes256-gcm96"), set()),
    "make another key": (post("{mount}/keys/new", **KEK_BODY), set()),
    # what stays as it was
    "unwrap under the realm's": (post(f"{{mount}}/decrypt/{KEK}", **WRAPPED), {APP, REENCRYPTOR}),
    "allow deletion of the realm's": (post(CONFIG, deletion_allowed=True), set()),
    "delete the realm's": (delete(KEY), set()),
    **{
        name: OPERATIONS[name]
        for name in (
            "unwrap with another key",
            "read another key",
            "rotate another key",
            "delete another key",
            "sign a checkpoint",
            "rotate the checkpoint key",
            "open the escrow",
            "export the escrow key",
        )
    },
    "delete the checkpoint key": (delete(f"{{mount}}/keys/{CHECKPOINT}"), set()),
    "delete the escrow key": (delete(f"{{mount}}/keys/{ESCROW}"), set()),
    # the last ones, for the key is gone then
    "allow deletion": (post(f"{TENANT_KEY}/config", deletion_allowed=True), {SHREDDER}),
    "delete the key": (delete(TENANT_KEY), {SHREDDER}),
}


@pytest.mark.parametrize("role", Role)
def test_a_role_may_use_the_keys_of_tenants_as_it_may_the_realms(place: Place, role: Role) -> None:
    with closing(place.client(role, tenant_keks=ALL_TENANTS)) as client:
        allowed = {
            name
            for name, (operation, _) in TENANT_OPERATIONS.items()
            if is_allowed(client, operation, place.values)
        }
    assert allowed == {name for name, (_, roles) in TENANT_OPERATIONS.items() if role in roles}


@pytest.mark.parametrize("role", [SHREDDER, ROTATOR, APP])
def test_a_policy_for_one_tenant_opens_no_other(place: Place, role: Role) -> None:
    of_globex = {
        "read": get(f"{{mount}}/keys/{GLOBEX}"),
        "rotate": post(f"{{mount}}/keys/{GLOBEX}/rotate"),
        "unwrap": post(f"{{mount}}/decrypt/{GLOBEX}", **TENANT_WRAPPED),
        "rewrap": post(f"{{mount}}/rewrap/{GLOBEX}", **TENANT_WRAPPED),
        "allow deletion": post(f"{{mount}}/keys/{GLOBEX}/config", deletion_allowed=True),
        "delete": delete(f"{{mount}}/keys/{GLOBEX}"),
    }
    with closing(place.client(role, tenant_keks=TENANT)) as client:
        allowed = {
            name
            for name, (operation, _) in TENANT_OPERATIONS.items()
            if is_allowed(client, operation, place.values)
        }
        assert not [
            name
            for name, operation in of_globex.items()
            if is_allowed(client, operation, place.values)
        ]
    expected = {name for name, (_, roles) in TENANT_OPERATIONS.items() if role in roles}
    assert allowed == expected - ({"rotate"} if role is SHREDDER else set())


def test_no_role_uses_the_keys_of_tenants_where_no_keyset_has_them(place: Place) -> None:
    for role in (APP, OFFICER, ROTATOR, SHREDDER):
        with closing(place.client(role)) as client:
            for name in ("read the key", "unwrap", "make a DEK", "rewrap", "delete the key"):
                assert not is_allowed(client, TENANT_OPERATIONS[name][0], place.values)


def is_allowed(client: VaultClient, operation: Operation, values: dict[str, str]) -> bool:
    """Whether Vault allows it; an error of another kind than 403 must not pass for either."""
    try:
        client.call(lambda vault: operation(vault, values), repeatable=False)
    except VaultDenied:
        return False
    except VaultError as error:
        raise AssertionError(f"not a clean answer: {error}") from None
    return True


def test_an_app_that_creates_keys_may_also_make_deks(place: Place) -> None:
    with closing(place.client(Role.APP, create_keys=True)) as client:
        assert is_allowed(client, OPERATIONS["make a DEK"][0], place.values)
        assert not is_allowed(client, OPERATIONS["rotate"][0], place.values)
        assert not is_allowed(client, TENANT_OPERATIONS["make a DEK"][0], place.values)
    with closing(place.client(Role.APP, create_keys=True, tenant_keks=ALL_TENANTS)) as client:
        assert is_allowed(client, TENANT_OPERATIONS["make a DEK"][0], place.values)
        assert not is_allowed(client, TENANT_OPERATIONS["make a tenant's key"][0], place.values)


def test_a_reader_that_may_decrypt_still_leases_no_writing_login(place: Place) -> None:
    options = {"reader_decrypts": True, "tenant_keks": ALL_TENANTS}
    with closing(place.client(Role.READER, **options)) as client:
        assert is_allowed(client, TENANT_OPERATIONS["unwrap"][0], place.values)
        assert is_allowed(client, OPERATIONS["unwrap"][0], place.values)
        assert not is_allowed(client, OPERATIONS["lease app-rw"][0], place.values)
