"""Who waits for an answer: a wait ends when it has gone, and when the API stops."""

import asyncio
from typing import Annotated, Any

from fastapi import Depends, Request


class Caller:
    """The client behind one request, whose body was read."""

    def __init__(self, request: Request, stopping: asyncio.Event) -> None:
        self._request = request
        self._stopping = stopping

    async def first[T](self, future: asyncio.Future[T], seconds: float) -> T | None:
        """Return the future's result, or None where time, client or API end before there is one."""
        ends: list[asyncio.Future[Any]] = [
            asyncio.create_task(self._gone()),
            asyncio.create_task(self._stopping.wait()),
        ]
        try:
            await asyncio.wait(
                [future, *ends], timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            return future.result() if future.done() else None
        finally:
            for end in ends:
                end.cancel()

    async def _gone(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


def caller(request: Request) -> Caller:
    """Return who asks: a dependency of the routes that wait."""
    return Caller(request, request.app.state.backend.stopping)


CallerDep = Annotated[Caller, Depends(caller)]
