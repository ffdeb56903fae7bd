"""Admission control: a request is admitted or refused by its head, before its body is read.

Every request counts towards the rate limit of its client, or of its address if it has no valid
token. What an admitted client may do is decided by the routes.
"""

import math
from http import HTTPStatus

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import TokensUnavailable
from .authorization import UNAUTHORIZED, client_key, resolve_principal
from .backend import Backend
from .problems import problem, status_of

_UNLIMITED_PATH = "/health/live"
"""Needs no other part, and is polled by supervisors that restart whatever does not answer."""


class AdmissionControl:
    """Middleware: 429 beyond the rate limit, 401 for a write without a valid token."""

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
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if path == _UNLIMITED_PATH:
            return None
        is_read = request.method in {"GET", "HEAD", "OPTIONS"}
        unavailable = None
        try:
            principal = resolve_principal(self._backend, request)
        except TokensUnavailable as error:
            principal, unavailable = None, error
        seconds = self._backend.rate_limit.take(client_key(principal, request))
        if seconds:
            headers = {"Retry-After": str(math.ceil(seconds))}
            detail = "too many requests at once"
            return problem(request, HTTPStatus.TOO_MANY_REQUESTS, detail, headers=headers)
        if principal is None and not is_read:
            if unavailable:
                return problem(request, status_of(unavailable), str(unavailable))
            headers = {"WWW-Authenticate": "Bearer"}
            return problem(request, HTTPStatus.UNAUTHORIZED, UNAUTHORIZED, headers=headers)
        return None
