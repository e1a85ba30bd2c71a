"""Every number of the stored format and of its safe use, with unit and source.

The sizes belong to format v1 and can never change: stored values would become unreadable. The
others may change, each in the direction its comment names.
"""

from __future__ import annotations

from typing import Final

# -- sizes in bytes, fixed for ever by format v1 -----------------------------------------------

KEY_SIZE: Final = 32
"""A data-encryption key: AES-256 (FIPS 197)."""

KEY_ID_SIZE: Final = 16
"""The commitment to the DEK: 2^128 work to find another key with the same id."""

HEADER_SIZE: Final = 18
"""Magic, suite and key id: the part of the envelope that is associated data."""

NONCE_SIZE: Final = 24
"""XAES-256-GCM takes 192-bit nonces (C2SP XAES-256-GCM)."""

NONCE_PREFIX_SIZE: Final = 12
"""The first half of the nonce selects the subkey (C2SP XAES-256-GCM, "N[:12]")."""

NONCE_TAIL_SIZE: Final = 12
"""The second half is the nonce of AES-256-GCM itself (NIST SP 800-38D, 96 bits)."""

TAG_SIZE: Final = 16
"""The full tag of GCM (NIST SP 800-38D, 128 bits)."""

FRAME_HEADER_SIZE: Final = 2
"""Flags and codec version, inside the encryption."""

OVERHEAD: Final = HEADER_SIZE + NONCE_SIZE + FRAME_HEADER_SIZE + TAG_SIZE
"""60 bytes: what an envelope adds to its payload, before padding."""

INDEX_VALUE_SIZE: Final = 26
"""A blind-index value: two marker bytes, 8 of the index key id, 16 of the HMAC."""

INDEX_KEY_ID_SIZE: Final = 8
"""How much of the index key's id a blind-index value shows."""

INDEX_TAG_SIZE: Final = 16
"""How much of the HMAC is kept: accidental equality of two values at 2^-128 per pair."""

# -- limits on one value; may be raised, never lowered (older values must stay readable) --------

MAX_PAYLOAD_SIZE: Final = 1 << 20
"""Bytes of one encoded value, 1 MiB: an ORM holds the value whole, several times over."""

MAX_PAD: Final = 4096
"""Bytes of the largest padding multiple; keeps the largest envelope under its limit."""

MAX_ENVELOPE_SIZE: Final = 1_100_000
"""Bytes; the CHECK of the domain `vaultdb.envelope` says the same."""

MAX_NAME_SIZE: Final = 255
"""UTF-8 bytes of a logical name or tenant: schema.table.column takes 3 x 63 + 2 (NAMEDATALEN)."""

MIN_INTEGER: Final = -(1 << 63)
MAX_INTEGER: Final = (1 << 63) - 1
"""Integers are stored in 64 bits, as PostgreSQL's bigint."""

MAX_KEY_COLUMNS: Final = 32
"""Columns of one key: PostgreSQL's INDEX_MAX_KEYS."""

MAX_JSON_DEPTH: Final = 100
"""Nesting of a JSON value: ten times below CPython's default recursion limit of 1000."""

# -- limits on use; may be lowered ---------------------------------------------------------------

VALUES_PER_PREFIX: Final = 1 << 16
"""Values under one subkey. Two of 2^16 random 96-bit tails collide with 2^-65."""

VALUES_PER_DEK: Final = 1 << 48
"""Values under one DEK, for documentation: 2^32 prefixes collide with 2^-33. Nobody counts them;
at a million values a second they last nine years."""

CACHED_SUBKEYS: Final = 1024
"""Subkeys one DEK keeps for reading; about 2.5 KiB each (measured), see `subkeys.py`."""
