"""The URL of a sink; what vaultdb itself has to know stands behind `#`, and is sent nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

from vaultdb.errors import ConfigurationError


@dataclass(slots=True)
class SinkAddress:
    """A URL and its options, each of which is taken once.

    Args:
        url: without its options.
        options: by name; what is left when the sink is open is an error.

    """

    url: SplitResult
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL such as `https://host/path#ca=/etc/ca.pem&every=10`.

        Raises:
            ConfigurationError: it is none, or holds a password.

        """
        try:
            url = urlsplit(text)
            options = parse_qsl(url.fragment, strict_parsing=True) if url.fragment else []
            _ = url.port
        except ValueError:
            raise ConfigurationError("an address in [audit] is not a URL") from None
        if not url.scheme:
            raise ConfigurationError(
                f"the address {text!r} in [audit] has no scheme; write file:///… for a file"
            )
        if url.username is not None or url.password is not None:
            raise ConfigurationError(
                f"the address of {url.scheme}://{url.hostname} in [audit] holds a login; put a"
                " token into a file and add #token-file=PATH"
            )
        return cls(url._replace(fragment=""), dict(options))

    @property
    def name(self) -> str:
        """What messages and logs call the sink: without query and options."""
        return self.url._replace(query="").geturl()

    def take(self, option: str) -> str | None:
        """Return an option, or None without it."""
        return self.options.pop(option, None)

    def take_path(self, option: str) -> Path | None:
        """Return an option that names a file."""
        value = self.take(option)
        return None if value is None else Path(value)

    def take_number(self, option: str, default: float) -> float:
        """Return an option that is a number, not negative.

        Raises:
            ConfigurationError: it is none.

        """
        value = self.take(option)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf"):
            raise ConfigurationError(f"{self.name}: {option} must be a number, not negative")
        return number

    def check_all_taken(self) -> None:
        """Refuse options that nobody knows.

        Raises:
            ConfigurationError: names the first.

        """
        for option in self.options:
            raise ConfigurationError(f"{self.name}: there is no option {option!r} for this sink")
