"""Who gets in: decided by the head of a request, before a byte of its body is read.

Each request counts towards the rate of its client, or of its address where it shows no valid
token. What a client may do is the routes' matter.
"""

import math
from http import HTTPStatus

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import TokensUnavailable
from .access import UNAUTHORIZED, known, name_of
from .backend import Backend
from .problems import problem, status_of

_ALWAYS = "/health/live"
"""Asks nothing of anybody, and is asked by those who start programs anew that do not answer."""


class Admission:
    """Middleware that answers 429 to who asks too often, and 401 to a body without a token."""

    def __init__(self, app: ASGIApp, backend: Backend) -> None:
        self._app = app
        self._backend = backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and (refusal := self._refusal(Request(scope))):
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        if request.scope["path"].removeprefix(request.scope.get("root_path", "")) == _ALWAYS:
            return None
        reading = request.method in {"GET", "HEAD", "OPTIONS"}
        unreadable = None
        try:
            who = known(self._backend, request)
        except TokensUnavailable as error:
            who, unreadable = None, error
        wait = self._backend.rate.take(name_of(who, request))
        if wait:
            headers = {"Retry-After": str(math.ceil(wait))}
            detail = "too many requests at once"
            return problem(request, HTTPStatus.TOO_MANY_REQUESTS, detail, headers=headers)
        if who is None and not reading:
            if unreadable:
                return problem(request, status_of(unreadable), str(unreadable))
            headers = {"WWW-Authenticate": "Bearer"}
            return problem(request, HTTPStatus.UNAUTHORIZED, UNAUTHORIZED, headers=headers)
        return None
