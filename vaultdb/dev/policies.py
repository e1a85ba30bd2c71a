"""What each role of vaultdb may do in Vault: exact paths, no globs.

A glob such as ``decrypt/*`` would open keys that are none of the application's business.
"""

from __future__ import annotations

ROLES = ("app", "officer", "rotator", "reencryptor")


def render_policy(role: str, *, mount: str, kek: str) -> str:
    """Return the HCL policy of one *role* for the key *kek* under the transit mount *mount*."""
    read = _rule(f"{mount}/keys/{kek}", "read")
    match role:
        case "app" | "reencryptor":
            rules = [read, _rule(f"{mount}/decrypt/{kek}", "update")]
        case "officer":
            rules = [
                read,
                _rule(f"{mount}/datakey/plaintext/{kek}", "update"),
                _rule(f"{mount}/decrypt/{kek}", "update"),
                _minimum_versions(f"{mount}/keys/{kek}/config"),
            ]
        case "rotator":
            rules = [
                read,
                _rule(f"{mount}/rewrap/{kek}", "update"),
                _rule(f"{mount}/keys/{kek}/rotate", "update"),
            ]
        case _:
            raise ValueError(role)
    return "\n".join(rules)


def _rule(path: str, capability: str) -> str:
    return f'path "{path}" {{\n  capabilities = ["{capability}"]\n}}\n'


def _minimum_versions(path: str) -> str:
    return (
        f'path "{path}" {{\n'
        '  capabilities = ["update"]\n'
        "  allowed_parameters = {\n"
        '    "min_decryption_version" = []\n'
        '    "min_encryption_version" = []\n'
        "  }\n"
        "}\n"
    )
