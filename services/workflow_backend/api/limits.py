"""Limits: on a request's body, held before a byte more is kept, and on how often one may ask."""

import time
from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import problem

BODY_BYTES = 1024 * 1024
_DETAIL = f"the body may have {BODY_BYTES} bytes at most"


class BodyLimit:
    """Middleware that answers 413 to a body of more than 1 MiB, declared or not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body watched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        declared = request.headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > BODY_BYTES:
            refusal = problem(request, HTTPStatus.CONTENT_TOO_LARGE, _DETAIL)
            await refusal(scope, receive, send)
            return
        left = BODY_BYTES

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(HTTPStatus.CONTENT_TOO_LARGE, _DETAIL)
            return message

        await self._app(scope, limited, send)


class RateLimit:
    """A token bucket for each principal or address: so many a second, a second's worth at once."""

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._most = max(1.0, per_second)
        self._buckets: dict[str, tuple[float, float]] = {}
        self._swept = time.monotonic()

    def take(self, name: str) -> float:
        """Take one request; return 0, or the seconds until there is room for it."""
        now = time.monotonic()
        self._sweep(now)
        left, at = self._buckets.get(name, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        if left < 1:
            self._buckets[name] = (left, now)
            return (1 - left) / self._rate
        self._buckets[name] = (left - 1, now)
        return 0.0

    def _sweep(self, now: float) -> None:
        """Forget buckets that are full again: there are many addresses to ask from."""
        fills = self._most / self._rate
        if now - self._swept > fills:
            self._swept = now
            self._buckets = {
                name: bucket for name, bucket in self._buckets.items() if now - bucket[1] < fills
            }
