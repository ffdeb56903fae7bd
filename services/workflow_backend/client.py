"""A small client of the API, for the command line and for health and smoke checks."""

import json
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import (
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

from .errors import SettingError, WorkflowError
from .items import SETTLED
from .settings import api_ca_file, api_token, api_url

TIMEOUT_SECONDS = 15.0
POLL_SECONDS = 0.1

ANSWER_BYTES = 64 << 20
"""Bytes of one answer at most."""

PROBLEM_BYTES = 1 << 20
"""Bytes of an answer that refuses at most."""


_UNAUTHORIZED = "name the file of a good token by XIAN_WORKFLOW_API_TOKEN_FILE"


class ApiError(WorkflowError):
    """The API refused the request."""


class ApiUnavailable(WorkflowError):
    """The API does not answer."""

    hint = "check XIAN_WORKFLOW_API_URL and that the API runs"


class ApiClient:
    """Calls the API at one address. Its methods return the JSON answer.

    `timeout` is how long to wait for one answer, in seconds; `token` is a bearer token; `ca_file`
    has the authorities that an https:// address is held to, by default those of the system.
    A redirect is an error: the token is for this address alone.
    """

    def __init__(
        self,
        url: str,
        timeout: float = TIMEOUT_SECONDS,
        token: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self.url = url
        self._timeout = timeout
        handlers: list[Any] = [_NoRedirect]
        if _is_here(url):
            # What the environment calls a proxy is for other machines, and would read the token.
            handlers.append(ProxyHandler({}))
        if url.startswith("https:"):
            handlers.append(HTTPSHandler(context=_trust(ca_file)))
        self._open = build_opener(*handlers).open
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    @classmethod
    def from_environment(
        cls, env: Mapping[str, str] = os.environ, timeout: float = TIMEOUT_SECONDS
    ) -> ApiClient:
        """Take address, token and authorities from the environment; raises SettingError."""
        return cls(api_url(env), timeout, api_token(env), api_ca_file(env))

    def submit(
        self, item_id: str, payload_uri: str, kind: str = "job", metadata_ref: str = ""
    ) -> dict[str, Any]:
        """Submit an item and wait for its block."""
        body = {
            "item_id": item_id,
            "payload_uri": payload_uri,
            "kind": kind,
            "metadata_ref": metadata_ref,
        }
        return self.call("POST", "/items", body)

    def item(self, item_id: str) -> dict[str, Any]:
        """Return an item as the contract has it, and what the projection has of it."""
        return self.call("GET", f"/items/{quote(item_id, safe='')}")

    def items(self, status: str | None, limit: int) -> dict[str, Any]:
        """Return projected items, newest first."""
        query = {"limit": limit} | ({"status": status} if status else {})
        return self.call("GET", f"/items?{urlencode(query)}")

    def cancel(self, item_id: str, reason: str) -> dict[str, Any]:
        """Cancel a submitted item."""
        path = f"/items/{quote(item_id, safe='')}/cancel"
        return self.call("POST", path, {"reason": reason})

    def retry(self, item_id: str) -> dict[str, Any]:
        """Make a failed item claimable again."""
        return self.call("POST", f"/items/{quote(item_id, safe='')}/retry")

    def watch(self, item_id: str, timeout: float) -> Iterator[dict[str, Any]]:
        """Yield the item at each change until it is settled; raises ApiError after `timeout` s."""
        deadline = time.monotonic() + timeout
        seen: dict[str, Any] | None = None
        while True:
            item = self.item(item_id)["item"]
            if item != seen:
                yield item
                seen = item
            if item["status"] in SETTLED:
                return
            if time.monotonic() > deadline:
                raise ApiError(
                    f"item {item_id} is still {item['status']} after {timeout:g} s",
                    hint="see whether the processor runs and handles its kind",
                )
            time.sleep(POLL_SECONDS)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to one request; raises ApiError or ApiUnavailable."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(  # noqa: S310 - api_url lets only http and https through
            self.url + path, data, self._headers, method=method
        )
        try:
            with self._open(request, timeout=self._timeout) as response:
                return _read(response, time.monotonic() + self._timeout)
        except HTTPError as error:
            hint = _UNAUTHORIZED if error.code == HTTPStatus.UNAUTHORIZED else None
            raise ApiError(f"{method} {path}: {_detail(error)}", hint=hint) from error
        except (URLError, OSError, HTTPException, ValueError, RecursionError) as error:
            reason = getattr(error, "reason", None) or error
            raise ApiUnavailable(f"no answer from the API at {self.url}: {reason}") from error


class _NoRedirect(HTTPRedirectHandler):
    """Takes the place of the one that would send the bearer token to wherever it is led."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nowhere: the redirect is then an HTTPError."""


def _read(response: Any, deadline: float) -> dict[str, Any]:
    """Read the answer until a time, of `time.monotonic`; raises ValueError for one that is none."""
    parts, size = [], 0
    while part := response.read1(1 << 16):
        size += len(part)
        if size > ANSWER_BYTES:
            raise ValueError(f"its answer has more than {ANSWER_BYTES >> 20} MiB")
        if time.monotonic() > deadline:
            raise TimeoutError("its answer does not end")
        parts.append(part)
    answer = json.loads(b"".join(parts))
    if not isinstance(answer, dict):
        raise ValueError("what answers is no API")  # noqa: TRY004 - it is what was read
    return answer


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise SettingError(
            f"XIAN_WORKFLOW_API_CA_FILE ({ca_file}) is no PEM file of authorities: "
            f"{error.strerror or error}"
        ) from None


def _detail(error: HTTPError) -> str:
    if 300 <= error.code < 400:
        where = error.headers.get("Location", "elsewhere")
        return f"{error.code}, a redirect to {where!r}, which is not followed"
    try:
        problem = json.loads(error.read(PROBLEM_BYTES))
        why = "".join(f"; {entry['message']}" for entry in problem.get("errors", ()))
        return f"{error.code} {problem['detail']}{why}"
    except ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError:
        return f"{error.code} {error.reason}"
