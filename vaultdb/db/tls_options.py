"""libpq's options that decide who is trusted: the strongest values, and what weaker ones cost."""

from __future__ import annotations

from collections.abc import Mapping

MINIMUM_TLS = "TLSv1.3"

STRONG = {
    "sslmode": "verify-full",
    "channel_binding": "require",
    "require_auth": "scram-sha-256",
    "ssl_min_protocol_version": MINIMUM_TLS,
}
_RANKS = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "channel_binding": ("disable", "prefer", "require"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "sslcertmode": ("disable", "allow", "require"),
}
_WHY = {
    "sslmode": "does not check who the server is",
    "channel_binding": "lets a machine in the middle replay the login",
    "require_auth": "lets a false server ask for the password itself",
    "ssl_min_protocol_version": "lets the two sides agree on an older TLS",
    "ssl_max_protocol_version": "rules out TLS 1.3",
    "sslcertmode": "connects also when the client certificate is not used",
    "sslkeylogfile": "writes the keys of the connection to a file",
}
GUARDED = tuple(_WHY)
"""The options whose value must not be weakened on the way to libpq."""


def is_weaker(option: str, value: str, wanted: str) -> bool:
    """Whether a value of one of libpq's options gives less than the wanted one."""
    if option == "require_auth":
        return not value or not _methods(value) <= _methods(wanted)
    if option in _RANKS:
        ranks = _RANKS[option]
        return value not in ranks or ranks.index(value) < ranks.index(wanted)
    if option == "ssl_max_protocol_version":
        return value not in ("", MINIMUM_TLS)
    return value != wanted


def reasons(weaker: Mapping[str, str]) -> str:
    """Return each weaker option with what it gives away."""
    return ", ".join(f"{key}={value}, which {_WHY[key]}" for key, value in weaker.items())


def _methods(value: str) -> set[str]:
    return {method.strip() for method in value.split(",")}
