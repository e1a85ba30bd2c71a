"""What each role of vaultdb may do in Vault: exact paths of one mount and one key, no globs.

Vault applies the most specific rule alone, so a glob such as `keys/*` is undone by any narrower
rule beside it, and `decrypt/*` would open every other key of the mount, among them the audit
escrow. Nobody may export, back up, trim or delete a key.
"""

from __future__ import annotations

import re
from enum import StrEnum

from vaultdb.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_MOUNT = re.compile(rf"{_NAME.pattern}(/{_NAME.pattern})*")

OWN_TOKEN = (
    ("auth/token/lookup-self", "read"),
    ("auth/token/renew-self", "update"),
    ("auth/token/revoke-self", "update"),
)
"""What every role may do with its own token; also in Vault's `default` policy, which a careful
operator leaves out."""


class Role(StrEnum):
    """Who calls Vault, and why."""

    APP = "app"
    """unwraps DEKs, to encrypt and decrypt values"""
    REENCRYPTOR = "reencryptor"
    """unwraps DEKs, to re-encrypt rows and to verify a rewrap"""
    OFFICER = "officer"
    """makes DEKs and raises minimum versions; a human, rarely"""
    ROTATOR = "rotator"
    """makes KEK versions and rewraps DEKs; never sees a plaintext DEK"""


def render_policy(role: str, *, mount: str, kek: str, create_keys: bool = False) -> str:
    """Return the HCL policy of a role for one KEK.

    Args:
        role: one of `Role`.
        mount: the path of the transit mount.
        kek: the key's name.
        create_keys: let the app make missing DEKs by itself, for `create_keys = true`.

    Raises:
        ConfigurationError: an unknown role, or a name with characters that mean something in a
            policy.

    """
    mount = mount.strip("/")
    if not _MOUNT.fullmatch(mount) or not _NAME.fullmatch(kek):
        raise ConfigurationError(
            f"a policy cannot be written for key {kek!r} in mount {mount!r}: "
            "use letters, digits, dots, dashes and underscores"
        )
    if role not in set(Role):
        raise ConfigurationError(f"there is no role {role!r}; the roles are {', '.join(Role)}")
    rules = [(f"{mount}/keys/{kek}", "read"), *_operations(Role(role), mount, kek)]
    if create_keys and role == Role.APP:
        rules.append((f"{mount}/datakey/plaintext/{kek}", "update"))
    blocks = [_rule(path, capability) for path, capability in (*rules, *OWN_TOKEN)]
    if role == Role.OFFICER:
        blocks.append(_minimum_versions(f"{mount}/keys/{kek}/config"))
    return "\n".join(blocks)


def _operations(role: Role, mount: str, kek: str) -> list[tuple[str, str]]:
    match role:
        case Role.APP | Role.REENCRYPTOR:
            paths = [f"{mount}/decrypt/{kek}"]
        case Role.OFFICER:
            paths = [f"{mount}/datakey/plaintext/{kek}"]
        case Role.ROTATOR:
            paths = [f"{mount}/rewrap/{kek}", f"{mount}/keys/{kek}/rotate"]
    return [(path, "update") for path in paths]


def _rule(path: str, capability: str) -> str:
    return f'path "{path}" {{\n  capabilities = ["{capability}"]\n}}\n'


def _minimum_versions(path: str) -> str:
    """Allow the two minimum versions and nothing else: `exportable` could never be taken back."""
    return (
        f'path "{path}" {{\n'
        '  capabilities = ["update"]\n'
        "  allowed_parameters = {\n"
        '    "min_decryption_version" = []\n'
        '    "min_encryption_version" = []\n'
        "  }\n"
        "}\n"
    )
