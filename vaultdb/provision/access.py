"""Policies and logins of the roles."""

from __future__ import annotations

import difflib
from functools import partial

from vaultdb.errors import ConfigurationError
from vaultdb.provision.step import State
from vaultdb.provision.vault_objects import VaultObjects
from vaultdb.provision.vault_spec import TOKEN_PERIOD, JwtSpec, VaultSpec
from vaultdb.vault.policies import ALL_TENANTS, Role, render_policy


def policy_name(role: Role) -> str:
    """Return the name of a role's policy, AppRole and JWT role."""
    return f"vaultdb-{role}"


def policy_of(role: Role, spec: VaultSpec) -> str:
    """Return the text of a role's policy.

    Raises:
        ConfigurationError: a name with characters that mean something in a policy.

    """
    return render_policy(
        role,
        mount=spec.transit_mount,
        kek=spec.kek,
        lease_mount=spec.leases.mount if spec.leases else None,
        lease_kind="static" if spec.leases and spec.leases.static else "dynamic",
        certificate_mount=spec.certificates.mount if spec.certificates else None,
        create_keys=spec.create_keys,
        reader_decrypts=spec.reader_decrypts,
        tenant_keks=ALL_TENANTS if spec.tenant_keks else None,
    )


def set_up_policies(vault: VaultObjects, spec: VaultSpec) -> None:
    """Write the policy of each role."""
    for role in spec.roles:
        path, wanted = f"sys/policies/acl/{policy_name(role)}", policy_of(role, spec)
        found = vault.read(path)
        what = f"policy {policy_name(role)}"
        if found is not None and found.get("policy") == wanted:
            vault.progress.step(what, State.SAME)
            continue
        before = str(found.get("policy", "")).splitlines() if found else []
        changes = difflib.unified_diff(before, wanted.splitlines(), lineterm="", n=0)
        vault.progress.step(
            what,
            State.CREATE if found is None else State.CHANGE,
            partial(vault.write, path, {"policy": wanted}),
            detail=[line for line in changes if line[:3] not in {"---", "+++"}] if found else [],
        )


def set_up_approles(vault: VaultObjects, spec: VaultSpec) -> None:
    """Mount AppRole and make one role for each of ours; secret ids are issued on request."""
    if spec.approle_mount is None:
        return
    vault.ensure_mount(spec.approle_mount, "approle", "logins of machines", where="auth")
    for role in spec.roles:
        vault.ensure(
            f"approle {policy_name(role)}",
            f"auth/{spec.approle_mount}/role/{policy_name(role)}",
            _token(role),
        )


def set_up_jwt(vault: VaultObjects, spec: JwtSpec) -> None:
    """Make a JWT role for each role with a subject.

    Raises:
        ConfigurationError: the method is not there; its keys are not ours to configure.

    """
    found = vault.mounted("auth").get(f"{spec.mount}/")
    if found is None or found["type"] != "jwt":
        raise ConfigurationError(
            f"vault has no jwt login at {spec.mount}: mount it and configure its keys first"
        )
    for role, subject in spec.subjects:
        vault.ensure(
            f"jwt role {policy_name(role)}",
            f"auth/{spec.mount}/role/{policy_name(role)}",
            {
                "role_type": "jwt",
                "user_claim": "sub",
                "bound_subject": subject,
                "bound_audiences": [spec.audience],
                **_token(role),
            },
        )


def _token(role: Role) -> dict[str, object]:
    return {
        "token_policies": [policy_name(role)],
        "token_no_default_policy": True,  # the policy says what a token may do with itself
        "token_period": TOKEN_PERIOD,
        "token_type": "service",
    }
