"""Why a key cannot be used, kept without an exception object and what it would drag along."""

from __future__ import annotations

from dataclasses import dataclass

from vaultdb.errors import KeyDenied, KeyringError, KeyUnavailable


@dataclass(frozen=True, slots=True)
class Fault:
    """The class and text of an error; an exception shared by threads would mix their tracebacks."""

    kind: type[KeyringError]
    message: str

    @classmethod
    def of(cls, error: KeyringError) -> Fault:
        """Keep an error's class and text, and drop its traceback, cause and context."""
        return cls(type(error), str(error))

    @property
    def is_outage(self) -> bool:
        """Whether the key may well be usable, and only cannot be had now."""
        return issubclass(self.kind, KeyUnavailable)

    @property
    def is_refusal(self) -> bool:
        """Whether somebody who was reachable said no."""
        return issubclass(self.kind, KeyDenied)

    def error(self) -> KeyringError:
        """Make the exception to raise."""
        return self.kind(self.message)
