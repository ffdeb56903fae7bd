"""Browser rules of an API without tokens: no web page of another site may use it.

Such a page can reach loopback in two ways: by a cross-site request that a browser sends without a
preflight, and by DNS rebinding, where its own name comes to mean 127.0.0.1. The first shows in
`Origin` and `Sec-Fetch-Site`, the second in `Host`.
"""

from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from .problems import problem

_READING = {"GET", "HEAD", "OPTIONS"}
_OWN = {"same-origin", "none"}
_FOREIGN_HOST = (
    "without tokens this API answers only as localhost and by the names in XIAN_WORKFLOW_API_HOSTS"
)
_FOREIGN_PAGE = (
    "a page of another site may change nothing here: name its origin in "
    "XIAN_WORKFLOW_API_ORIGINS, or use tokens"
)


class SameOriginOnly:
    """Middleware that refuses pages of other sites.

    `hosts` are the API's names beside those of loopback, `origins` those that pages may be of, such
    as `https://shop.example.org`.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and (refusal := self._refusal(Request(scope))):
            await problem(Request(scope), *refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> tuple[HTTPStatus, str] | None:
        hosts = request.headers.getlist("host")
        if any(host and not self._is_own(host) for host in hosts):
            return HTTPStatus.MISDIRECTED_REQUEST, _FOREIGN_HOST
        origin = request.headers.get("origin")
        if request.method in _READING or (origin and origin in self._origins):
            return None
        if (
            not all(_is_same_origin(origin, host) for host in hosts or [""])
            or request.headers.get("sec-fetch-site", "none") not in _OWN
        ):
            return HTTPStatus.FORBIDDEN, _FOREIGN_PAGE
        return None

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name in self._hosts:
            return True
        try:
            return ip_address(name).is_loopback
        except ValueError:
            return False


def _is_same_origin(origin: str | None, host: str) -> bool:
    """Tell whether an origin is the host that was asked; a request without one is no page's."""
    try:
        return origin is None or urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
