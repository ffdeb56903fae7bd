"""Pages that a person opens on this machine: an API without tokens must not act for any of them.

A page of another site reaches loopback by two ways: it sends what a browser sends without asking
first, or its name is made to mean 127.0.0.1 once it is open. The browser tells both: by `Origin`
and `Sec-Fetch-Site`, and by `Host`.
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
    "without tokens this API answers as localhost only, and by the names in XIAN_WORKFLOW_API_HOSTS"
)
_FOREIGN_PAGE = (
    "a page of another site may change nothing here: name its origin in "
    "XIAN_WORKFLOW_API_ORIGINS, or use tokens"
)


class OwnPagesOnly:
    """Middleware that refuses other sites' pages.

    `hosts` are names that the API has beside those of loopback; `origins` are those whose pages may
    ask it, `https://shop.example.org` and the like.
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
            not all(_is_of(origin, host) for host in hosts or [""])
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


def _is_of(origin: str | None, host: str) -> bool:
    """Tell whether a page's origin is the host that it asks; what is not told is no page's."""
    try:
        return origin is None or urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
