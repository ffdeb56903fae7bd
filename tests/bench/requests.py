"""The API as its clients meet it: over HTTP, with a token."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp


def percentile(times: list[float], share: float) -> float:
    """Return the time that so large a share of them does not exceed."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class Api:
    """One API, with a session for the whole measurement."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return the answer; raises RuntimeError where it is not a success."""
        async with self._session.request(method, self._url + path, json=body) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer}")
            return answer

    async def seconds(self, path: str) -> float:
        """Return how long one GET takes."""
        began = time.perf_counter()
        await self.call("GET", path)
        return time.perf_counter() - began

    async def completed(self) -> int:
        """Return how many items of this token are projected as completed."""
        return int((await self.call("GET", "/projection/summary"))["completed_count"])


@asynccontextmanager
async def api(url: str, token: str, connections: int = 200) -> AsyncIterator[Api]:
    """Open a session with one API, every request with the token."""
    connector = aiohttp.TCPConnector(limit=connections)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Api(session, url)
