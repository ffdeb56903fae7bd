"""Request bodies: JSON with its content type, 1 MiB at most."""

import re
from http import HTTPStatus

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import problem

BODY_BYTES = 1024 * 1024
_TOO_LARGE = f"the body may have {BODY_BYTES} bytes at most"
_WANTED = "send JSON with the header Content-Type: application/json"
_LENGTH = re.compile(r"[0-9]{1,9}")
_JSON = re.compile(r"application/([a-z0-9.-]+\+)?json")


class JsonBodies:
    """Middleware that answers 413 to a body that is too large and 415 to one that is not JSON.

    A body is counted while it arrives: its declared size may be wrong or missing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = _refusal(request)
        if refusal is not None:
            await problem(request, *refusal)(scope, receive, send)
            return
        left = BODY_BYTES

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(HTTPStatus.CONTENT_TOO_LARGE, _TOO_LARGE)
            return message

        await self._app(scope, limited, send)


def _refusal(request: Request) -> tuple[HTTPStatus, str] | None:
    declared = request.headers.get("content-length", "0")
    if not _LENGTH.fullmatch(declared) or int(declared) > BODY_BYTES:
        return HTTPStatus.CONTENT_TOO_LARGE, _TOO_LARGE
    has_body = int(declared) > 0 or "transfer-encoding" in request.headers
    if request.method == "POST" and has_body:
        declared_type = request.headers.get("content-type", "")
        if not _JSON.fullmatch(declared_type.partition(";")[0].strip().lower()):
            what = f"of the type {declared_type!r}" if declared_type else "without a type"
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"the body is {what}: {_WANTED}"
    return None
