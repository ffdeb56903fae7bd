"""A small client of the API, for the command line and for health and smoke checks."""

import json
import os
import ssl
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from .errors import SettingError, WorkflowError
from .items import SETTLED
from .settings import api_ca_file, api_token, api_url

TIMEOUT_SECONDS = 15.0
POLL_SECONDS = 0.1


class ApiError(WorkflowError):
    """The API refused the request."""


class ApiUnavailable(WorkflowError):
    """The API does not answer."""

    hint = "check XIAN_WORKFLOW_API_URL and that the API runs"


class ApiClient:
    """Calls the API at one address. Its methods return the JSON answer.

    `timeout` is how long to wait for one answer, in seconds; `token` is a bearer token; `ca_file`
    has the authorities that an https:// address is held to, by default those of the system.
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
        self._trust = _trust(ca_file) if url.startswith("https:") else None
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
            with urlopen(  # noqa: S310
                request, timeout=self._timeout, context=self._trust
            ) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except HTTPError as error:
            raise ApiError(f"{method} {path}: {_detail(error)}") from error
        except (URLError, OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise ApiUnavailable(f"no answer from the API at {self.url}: {reason}") from error


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (ssl.SSLError, OSError) as error:
        raise SettingError(
            f"XIAN_WORKFLOW_API_CA_FILE ({ca_file}) is no PEM file of authorities: "
            f"{error.strerror or error}"
        ) from None


def _detail(error: HTTPError) -> str:
    try:
        problem = json.load(error)
        why = "".join(f"; {entry['message']}" for entry in problem.get("errors", ()))
        return f"{error.code} {problem['detail']}{why}"
    except ValueError, KeyError, TypeError:
        return f"{error.code} {error.reason}"
