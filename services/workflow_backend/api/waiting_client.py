"""The client behind a waiting request: the wait ends when it disconnects or the API stops."""

import asyncio
from typing import Annotated, Any

from fastapi import Depends, Request


class WaitingClient:
    """The client of one request whose body has been read."""

    def __init__(self, request: Request, stopping: asyncio.Event) -> None:
        self._request = request
        self._stopping = stopping

    async def wait_for[T](self, future: asyncio.Future[T], seconds: float) -> T | None:
        """Return the future's result, None if time, client or API ends before there is one."""
        ends: list[asyncio.Future[Any]] = [
            asyncio.create_task(self._disconnect()),
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

    async def _disconnect(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


def get_waiting_client(request: Request) -> WaitingClient:
    """Return the request's client: a dependency of the routes that wait."""
    return WaitingClient(request, request.app.state.backend.stopping)


WaitingClientDep = Annotated[WaitingClient, Depends(get_waiting_client)]
