"""Policies name exact paths and nothing that means more in a policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vaultdb.errors import ConfigurationError
from vaultdb.vault.policies import Role, render_policy


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
