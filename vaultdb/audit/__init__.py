"""The audit log: events, hash chains, the Merkle tree, checkpoints. No I/O.

An application declares events of its own with `own_kind`, records them with `emit`, and offers a
`Sink` under the entry point `vaultdb.audit_sinks`.
"""

from __future__ import annotations

from vaultdb.audit.emitting import emit
from vaultdb.audit.kinds import EventKind, own_kind
from vaultdb.audit.sink import Sink

__all__ = ["EventKind", "Sink", "emit", "own_kind"]
