"""One session per request, acting as the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

import vaultdb
from clinic.caller import CurrentCaller


async def session(request: Request, caller: CurrentCaller) -> AsyncIterator[AsyncSession]:
    with vaultdb.acting_as(caller.name, tenant=caller.practice, purpose="treatment"):
        async with AsyncSession(request.app.state.engine, expire_on_commit=False) as opened:
            yield opened


CurrentSession = Annotated[AsyncSession, Depends(session)]
