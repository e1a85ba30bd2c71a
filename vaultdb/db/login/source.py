"""Where an engine gets the user and password for a new connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn, Protocol


@dataclass(frozen=True, slots=True, eq=False)
class Login:
    """What one connection logs in with.

    Args:
        user: None for the one that the URL or libpq names.
        password: secret; None when there is none to give.
        generation: counts the logins of one source.

    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    generation: int = 0

    def __reduce__(self) -> NoReturn:
        raise TypeError("a login holds a password and cannot be pickled or copied")


class LoginSource(Protocol):
    """Gives logins; safe for threads, and in a forked child it makes its own."""

    def current(self) -> Login:
        """Return the login for a new connection.

        Raises:
            VaultError: there is none, and Vault gives none.

        """
        ...

    def is_ready(self) -> bool:
        """Return whether `current` answers from memory: it must not block an event loop."""
        ...

    def is_retired(self, generation: int) -> bool:
        """Return whether pooled connections of this generation have to go; never blocks."""
        ...

    def refused(self, generation: int) -> bool:
        """Note that PostgreSQL refused a login; return whether to try again with `current`.

        Raises:
            VaultError: another login is needed, and Vault gives none.

        """
        ...

    def close(self) -> None:
        """Give back what this process borrowed; the next `current` borrows anew."""
        ...
