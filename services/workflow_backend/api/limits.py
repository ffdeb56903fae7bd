"""A limit on request bodies, held before a byte more than that is kept."""

from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import problem

BODY_BYTES = 64 * 1024
_DETAIL = f"the body may have {BODY_BYTES} bytes at most"


class BodyLimit:
    """Middleware that answers 413 to a body of more than 64 KiB, declared or not."""

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
