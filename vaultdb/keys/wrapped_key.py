"""One row of the key table: a wrapped DEK and everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from vaultdb.crypto.encoding import canon

CONTEXT_LABEL = b"vaultdb/dek/v1"
"""Domain separation of the wrapping context. Never changes: it is bound into every wrapped DEK."""


class Purpose(StrEnum):
    """What a DEK is for; one never serves the other."""

    DATA = "data"
    INDEX = "index"


class KeyState(StrEnum):
    """What a DEK may still do. A state can only take rights away, never give them back."""

    INCOMING = "incoming"
    """an index key that is searched for already and does not write what is searched today"""
    ACTIVE = "active"
    DECRYPT_ONLY = "decrypt_only"
    DISABLED = "disabled"
    DESTROYED = "destroyed"


class KeyScope(NamedTuple):
    """The values one DEK serves, within a realm.

    A tuple, because one is made and looked up for every statement: that takes half the time
    of a frozen dataclass.

    Args:
        tenant: at most 64 characters, empty when there are no tenants.
        keyset: the name that columns share keys under.
        purpose: data or index.
        subject: the data subject whose values alone it serves, empty for all others of the keyset;
            not secret, and stored in the key table as it is.

    """

    tenant: str
    keyset: str
    purpose: Purpose
    subject: str = ""

    def is_within(self, whole: KeyScope) -> bool:
        """Whether this is the scope of a whole keyset, or of one data subject in it."""
        return self[:3] == whole[:3]


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A DEK as it is stored: encrypted under the KEK, so none of this is secret.

    Args:
        key_id: 16 bytes, a commitment to the DEK.
        realm: the installation it belongs to.
        scope: the values it serves.
        version: counts up from 1 within the scope; the highest is the active one.
        state: restricts what it may do.
        kek_version: the version of the KEK that wrapped it.
        wrapped: the provider's text, at most 1 kB.

    """

    key_id: bytes
    realm: UUID
    scope: KeyScope
    version: int
    state: KeyState
    kek_version: int
    wrapped: str = field(repr=False)

    def context(self) -> bytes:
        """Return what the wrapping is bound to: a wrapped DEK moved elsewhere does not unwrap."""
        return wrapping_context(self.realm, self.scope, self.version)


def wrapping_context(realm: UUID, scope: KeyScope, version: int) -> bytes:
    """Encode realm, tenant, label, keyset, purpose and version (u32 big-endian), in this order.

    The subject follows where there is one, so contexts without one are what they always were.
    """
    subject = (scope.subject.encode(),) if scope.subject else ()
    return canon(
        realm.bytes,
        scope.tenant.encode(),
        CONTEXT_LABEL,
        scope.keyset.encode(),
        scope.purpose.encode(),
        version.to_bytes(4, "big"),
        *subject,
    )
