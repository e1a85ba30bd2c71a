"""The ciphertext on its way to the driver: proof that the write interceptor has seen the value."""

from __future__ import annotations

from typing import Final, NoReturn, final


@final
class Ciphertext:
    """An envelope in a parameter set; the only thing but NULL that an encrypted column binds.

    Args:
        envelope: the value, encrypted for its row; not secret, but of no use in a log either.

    """

    __slots__ = ("envelope",)

    def __init__(self, envelope: bytes) -> None:
        self.envelope: Final = envelope

    def __repr__(self) -> str:
        return "<ciphertext>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ciphertext belongs to one statement and cannot be pickled")
