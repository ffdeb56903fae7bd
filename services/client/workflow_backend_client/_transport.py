"""What blocks, made of `_async_transport.py` by setup/sync_client.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any, cast

import httpx

from . import _protocol as protocol
from . import models
from ._protocol import Call
from .errors import ApiError, ApiUnavailable


class Transport:
    """Sends requests to the API at one address; bounds what each may cost."""

    def __init__(
        self,
        url: str,
        token: str | None,
        ca_file: str | Path | None,
        timeout: float,
        retry_seconds: float,
    ) -> None:
        self.url = url.rstrip("/")
        self.retry_seconds = retry_seconds
        self._timeout = timeout
        # Compression would let a small answer become one that no memory holds.
        headers = {"Accept-Encoding": "identity", "User-Agent": "workflow-backend-client"}
        if token:
            if not (token.isascii() and token.isprintable()):
                raise ValueError("a token holds printable ASCII only")
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            headers=headers,
            verify=protocol.trust(self.url, ca_file),
            trust_env=not protocol.is_loopback(self.url),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call) -> dict[str, Any]:
        """Return the answer to a request; repeat it where that is safe and may help."""
        pause, give_up = protocol.FIRST_PAUSE_SECONDS, monotonic() + self.retry_seconds
        while True:
            try:
                return self._send_once(call)
            except (ApiError, ApiUnavailable) as error:
                wait = protocol.pause_before_retry(error, pause)
                if wait is None or not call.is_repeatable or monotonic() + wait > give_up:
                    raise
            time.sleep(wait)
            pause = min(pause * 2, protocol.LONGEST_PAUSE_SECONDS)

    def stream(self, cursor: str) -> Iterator[models.StreamedEvent | None]:
        """Yield the events of one connection, and None for each sign of life between them."""
        call = Call("GET", "/stream")
        headers = {"Last-Event-ID": cursor, "Accept": "text/event-stream"}
        timeout = httpx.Timeout(self._timeout, read=protocol.STREAM_IDLE_SECONDS)
        lines = protocol.EventLines()
        try:
            with self._http.stream(
                call.method, self.url + call.path, headers=headers, timeout=timeout
            ) as response:
                if not response.is_success:
                    raise self._refusal(call, response)
                for content in response.iter_raw():
                    yield None
                    for event_cursor, event in lines.feed(content):
                        yield models.StreamedEvent(event_cursor, cast(models.Event, event))
        except httpx.ReadTimeout:
            raise ApiUnavailable(f"the stream of {self.url} went silent") from None
        except httpx.HTTPError as error:
            raise self._unavailable(error) from error

    def _send_once(self, call: Call) -> dict[str, Any]:
        try:
            with self._http.stream(
                call.method,
                self.url + call.path,
                params=call.query,
                json=call.body,
                timeout=self._timeout + call.seconds,
            ) as response:
                if not response.is_success:
                    raise self._refusal(call, response)
                return protocol.parse(self._read(response, call.seconds))
        except httpx.HTTPError as error:
            raise self._unavailable(error) from error

    def _refusal(self, call: Call, response: httpx.Response) -> ApiError:
        content = self._read(response, 0.0)
        return protocol.refusal(call, response.status_code, response.headers, content)

    def _read(self, response: httpx.Response, seconds: float) -> bytes:
        """Return the body; its bytes and the time that it takes have a bound."""
        deadline = monotonic() + self._timeout + seconds
        content = bytearray()
        for part in response.iter_raw():
            content += part
            if len(content) > protocol.ANSWER_BYTES:
                limit = protocol.ANSWER_BYTES >> 20
                raise ApiUnavailable(f"the answer of {self.url} has more than {limit} MiB")
            if monotonic() > deadline:
                raise ApiUnavailable(f"the answer of {self.url} does not end")
        return bytes(content)

    def _unavailable(self, error: httpx.HTTPError) -> ApiUnavailable:
        reason = str(error) or type(error).__name__
        return ApiUnavailable(f"no answer from the API at {self.url}: {reason}")
