"""Secrets that somebody else puts into a file and replaces from time to time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vaultdb.errors import ConfigurationError

ReadSecret = Callable[[], str]


def secret_in(path: Path, setting: str) -> ReadSecret:
    """Return what reads the secret from a file, anew each time: it may have been replaced.

    Args:
        path: the file; its text without white space around it is the secret.
        setting: the setting that named it, for the error.

    """

    def read() -> str:
        problem = ""
        secret = ""
        try:
            secret = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            problem = (error.strerror or type(error).__name__).lower()
        except UnicodeDecodeError:
            problem = "it is not text"
        if problem or not secret:
            raise ConfigurationError(f"{setting}: cannot use {path}: {problem or 'it is empty'}")
        return secret

    return read


def secret_is(secret: str) -> ReadSecret:
    """Return what gives a fixed secret."""
    return lambda: secret
