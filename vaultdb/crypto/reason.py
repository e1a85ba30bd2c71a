"""Why a stored value did not decrypt: a code for the audit log, never for the user."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The codes that `DecryptionError` carries in `reason`."""

    MALFORMED = "malformed"
    """Not an envelope: wrong type, size or magic byte."""
    SUITE = "suite"
    """An envelope of a suite that this version does not know."""
    KEY = "wrong key"
    """The envelope names another DEK than the one it was given to."""
    TAG = "bad tag"
    """Another row, column, tenant, realm or type, or changed bytes: the tag does not verify."""
    FRAME = "bad frame"
    """Authentic, but flags or padding are not of this format."""
    PAYLOAD = "bad payload"
    """Authentic, but not a value of the declared type."""
    ROW = "no row"
    """The value came with a NULL key, so it belongs to no row."""
    INDEX = "wrong index value"
    """Found by a blind-index value that is not the value's own."""
    UNKNOWN_KEY = "unknown key"
    """The envelope names a DEK that the keyring does not hold."""
    SCOPE = "wrong scope"
    """The DEK belongs to another tenant, keyset, purpose or realm than the column."""
