"""Methods of HTTP: HEAD wherever GET is, and all of a path named where another is tried."""

from fastapi import Request
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Middleware that answers HEAD as GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a stream ends before its first event."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        over = False

        async def bodiless(message: Message) -> None:
            nonlocal over
            if over:
                return
            if message["type"] == "http.response.body":
                over = True
                message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, bodiless)


def allowed_methods(request: Request) -> str:
    """Return what `Allow` is to tell of the path that was asked for."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    allowed: set[str] = set()
    for template, operations in request.app.openapi()["paths"].items():
        if compile_path(template)[0].match(path):
            allowed |= {method.upper() for method in operations}
    allowed = allowed or {"GET"}  # what is not described is pages and files
    return ", ".join(sorted(allowed | ({"HEAD"} if "GET" in allowed else set())))
