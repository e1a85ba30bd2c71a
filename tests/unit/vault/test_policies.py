"""Policies name exact paths and nothing that means more in a policy."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from vaultdb.errors import ConfigurationError
from vaultdb.vault.policies import (
    ALL_TENANTS,
    Role,
    checkpoint_key,
    escrow_key,
    render_policy,
)
from vaultdb.vault.tenant_kek import tenant_kek, tenant_prefix

REALM = UUID(int=1)
TENANTS_KEYS = {Role.APP, Role.REENCRYPTOR, Role.OFFICER, Role.ROTATOR, Role.SHREDDER}


@pytest.mark.parametrize("role", Role)
def test_no_policy_holds_a_glob(role: Role) -> None:
    paths = re.findall(r'path "([^"]*)"', render_policy(role, mount="vaultdb-transit", kek="k"))
    assert paths
    assert not [path for path in paths if set(path) & set("*+")]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    ("mount", "kek"),
    [
        ("transit", "*"),
        ("transit", "a/b"),
        ("transit", 'a" { capabilities = ["sudo"] }'),
        ("+", "k"),
        ("transit/*", "k"),
        ("", "k"),
        ("transit", ""),
        ("transit\n", "k"),
        ("transit", "k\n"),
    ],
)
def test_names_that_mean_more_in_a_policy_are_refused(role: Role, mount: str, kek: str) -> None:
    with pytest.raises(ConfigurationError, match="a policy cannot be written"):
        render_policy(role, mount=mount, kek=kek)


@pytest.mark.parametrize("role", Role)
def test_the_only_glob_is_that_of_the_keys_of_tenants(role: Role) -> None:
    text = render_policy(role, mount="transit", kek="k", tenant_keks=ALL_TENANTS)
    globs = [path for path in re.findall(r'path "([^"]*)"', text) if set(path) & set("*+")]
    assert all(re.fullmatch(r"transit/[a-z/]+/k-tenant-\*", path) for path in globs)
    assert bool(globs) == (role in TENANTS_KEYS)
    one = render_policy(role, mount="transit", kek="k", tenant_keks=tenant_kek("k", REALM, "acme"))
    assert not [path for path in re.findall(r'path "([^"]*)"', one) if set(path) & set("*+")]


@pytest.mark.parametrize("kek", ["k-tenant", "k-tenant-", "k-tenant-1"])
def test_a_key_with_the_name_of_a_tenants_is_refused(kek: str) -> None:
    """The glob of another KEK in the mount would open it."""
    with pytest.raises(ConfigurationError, match="how the keys of tenants are called"):
        render_policy("app", mount="transit", kek=kek)


@pytest.mark.parametrize("name", ["other", "k", "k-checkpoint", "k-tenant-*", "k-tenant-/../k"])
def test_what_is_not_a_tenants_key_is_not_taken_for_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match="not the key of a tenant"):
        render_policy("shredder", mount="transit", kek="k", tenant_keks=name)


def test_the_audits_keys_are_not_called_as_those_of_tenants() -> None:
    for name in (checkpoint_key("k"), escrow_key("k")):
        assert not name.startswith(tenant_prefix("k"))


def test_the_name_of_a_tenants_key_never_changes() -> None:
    """SHA-256 of canon(realm, tenant), by hand; a key with another name would be a lost one."""
    assert tenant_kek("vaultdb", REALM, "Ärzte & Co") == (
        "vaultdb-tenant-"
        + sha256(
            b"\x02" + b"\0\0\0\x10" + REALM.bytes + b"\0\0\0\x0b" + "Ärzte & Co".encode()
        ).hexdigest()[:32]
    )
    assert tenant_kek("vaultdb", UUID(int=2), "acme") != tenant_kek("vaultdb", REALM, "acme")


def test_an_unknown_role_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="app, reader, reencryptor, officer, rotator"):
        render_policy("root", mount="transit", kek="k")


def test_only_an_app_that_creates_keys_may_make_them() -> None:
    with_creation = render_policy("app", mount="transit", kek="k", create_keys=True)
    assert 'path "transit/datakey/plaintext/k"' in with_creation
    assert "datakey" not in render_policy("app", mount="transit", kek="k")
    assert "datakey" not in render_policy("rotator", mount="transit", kek="k", create_keys=True)


@pytest.mark.parametrize("role", Role)
def test_the_documented_policies_are_the_rendered_ones(role: Role) -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "vault-policies.md"
    policy = render_policy(role, mount="vaultdb-transit", kek="vaultdb")
    assert f"## {role}\n" in page.read_text()
    assert f"```hcl\n{policy}```" in page.read_text()


@pytest.mark.parametrize("role", sorted(TENANTS_KEYS))
def test_the_documented_rules_on_keys_of_tenants_are_the_rendered_ones(role: Role) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "vault-policies.md").read_text()
    policy = render_policy(role, mount="vaultdb-transit", kek="vaultdb", tenant_keks=ALL_TENANTS)
    rules = [rule for rule in re.split(r"\n(?=path )", policy) if "-tenant-*" in rule]
    assert rules
    for rule in rules:
        assert rule.strip() in page
