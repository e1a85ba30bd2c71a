"""Who calls: taken from headers that the authenticating proxy sets.

Replace this file by the check of your own tokens. What matters is that it ends in a `Caller` and
that nobody can reach the application around the proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, HTTPException


@dataclass(frozen=True, slots=True)
class Caller:
    """A person and the practice they work for."""

    name: str
    practice: str


async def caller(
    x_user: Annotated[str | None, Header()] = None,
    x_practice: Annotated[str | None, Header()] = None,
) -> Caller:
    if not x_user or not x_practice:
        raise HTTPException(401, "say who you are: X-User and X-Practice")
    return Caller(x_user, x_practice)


CurrentCaller = Annotated[Caller, Depends(caller)]
