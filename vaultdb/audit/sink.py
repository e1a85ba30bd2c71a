"""Where copies of the log go, out of reach of the database's administrators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from vaultdb.audit.chain import Record

ENTRY_POINTS = "vaultdb.audit_sinks"
"""The entry-point group where other packages offer sinks: name of the URL's scheme -> factory."""


@runtime_checkable
class Sink(Protocol):
    """Takes copies of signed checkpoints, and of the records below them.

    A factory of a sink takes the URL of the configuration and returns the sink.
    """

    def checkpoint(self, note: str) -> None:
        """Keep a signed checkpoint; may see one twice, and must return when it is durable.

        Args:
            note: the signed note, as text; public.

        Raises:
            OSError: it could not be kept; it is offered again.

        """
        ...

    def records(self, records: Sequence[Record]) -> None:
        """Take records in the order of their leaves; a sink of checkpoints only does nothing."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
