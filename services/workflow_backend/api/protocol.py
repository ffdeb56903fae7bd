"""One HTTP connection: limits on the size and the time of requests, before the application runs.

uvicorn parses requests and sends answers. This bounds the memory, files and time that a client can
take without a token.
"""

import asyncio
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .connections import Connections
from .models import Problem
from .problems import RETRY_SECONDS

HEAD_BYTES = 64 * 1024
SLICE_BYTES = 16 * 1024
HEAD_SECONDS = 10.0
BODY_SECONDS = 60.0
WRITE_SECONDS = 60.0

IDLE_SECONDS = 120
"""Longer than clients and proxies keep idle connections, so that they close them: if the server
does while a request is on its way, that request fails."""

MAX_PIPELINED = 32
"""Requests of one connection that wait for the answers before theirs. Each takes a hundred times
its own size in memory, and a client without a token can send thousands at once."""

QUEUED_BYTES = 64 * 1024
"""Bytes of such requests up to which the connection is read, so that its end is noticed."""


class _HeadTooLargeError(Exception):
    """The request's head exceeds its limit."""


class _TooManyPipelinedError(Exception):
    """Too many requests wait for the answers before theirs."""


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with limits.

    `counted_for` is the address that the connection is counted for already, if it is.
    """

    def __init__(
        self, connections: Connections, *, counted_for: str | None = None, **given: Any
    ) -> None:
        super().__init__(**given)
        self._connections = connections
        self._counted_for = counted_for
        self._address: str | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._head = 0
        self._head_is_over = False
        self._is_reading = False
        self._beside_body = 0
        self._body = 0
        self._refusal: bytes | None = None
        self._running: RequestResponseCycle | None = None
        self._queued = 0

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection, or had one, that it releases."""
        return self._address is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection, or refuse it if there are too many."""
        super().connection_made(transport)
        address = self._counted_for
        if address is None:
            address = self.client[0] if self.client else ""
            refusal = self._connections.admit(address)
            if refusal is not None:
                self._refuse(refusal, "too many connections are open")
                return
        self._address = address
        self._limit(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the connection and its timers, and tell the request that is being answered."""
        super().connection_lost(exc)  # tells the newest, which may wait for its turn
        if self._running is not None:
            self._running.disconnected = not self._running.response_complete
            self._running.message_event.set()
        if self._address is not None:
            self._connections.release(self._address)
        for timer in (self._deadline, self._stall, self._closing):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse bytes, within the limits of a head and of what surrounds the parts of a body."""
        for begin in range(0, len(data), SLICE_BYTES):
            if self.transport.is_closing() or self._refusal is not None:
                return
            self._feed(data[begin : begin + SLICE_BYTES])

    def _feed(self, data: bytes) -> None:
        self._beside_body += len(data)
        try:
            while data:
                data = self._parse(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLargeError):
                self._refuse_head()
            elif isinstance(error.__context__, _TooManyPipelinedError):
                self._refuse(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "too many requests wait for the answers before theirs",
                )
            else:
                self._refuse(HTTPStatus.BAD_REQUEST, "this is not an HTTP request")
            return
        # Each part of a chunked body has a few bytes of its own around it.
        if self._beside_body > HEAD_BYTES + 8 * self._body:
            self._refuse_head()

    def _parse(self, data: bytes) -> bytes:
        """Parse bytes; return those behind a request that asked for another protocol.

        It is answered as any other, and so are the requests behind it. Behind a CONNECT there is no
        request.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self.parser.get_method() != b"CONNECT":
                return data[upgrade.args[0] :]
        return b""

    def on_message_begin(self) -> None:
        """Begin a request; its head is counted and timed from here on."""
        self._is_reading, self._head_is_over = True, False
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _TooManyPipelinedError
        self._unset_keepalive_if_required()
        # The slice that it began in is not counted: most of it may be of the request before.
        self._head = self._beside_body = self._body = 0
        if self._deadline is None:
            self._limit(HEAD_SECONDS)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer behind a body is ignored."""
        self._count(len(name) + len(value) + 4)
        if not self._head_is_over:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Pass the request on; its body has a time limit of its own."""
        self._unset_keepalive_if_required()
        self._limit(BODY_SECONDS)
        self._head_is_over = True
        queued, is_paused = len(self.pipeline), self.flow.read_paused
        super().on_headers_complete()
        if len(self.pipeline) == queued:
            self._running = self._cycle()
        elif not is_paused:
            self.flow.resume_reading()
            self._queue(self._head)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body += len(body)
        self._beside_body -= len(body)
        super().on_body(body)
        if self.pipeline:
            self._queue(len(body))

    def _queue(self, size: int) -> None:
        """Count bytes of a request that waits for its turn."""
        self._queued += size
        if self._queued > QUEUED_BYTES:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """End the time limit of a request that is whole."""
        self._unlimit()
        self._is_reading = False
        self._beside_body = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or with the refusal of it."""
        has_next = bool(self.pipeline)
        if has_next and not self.transport.is_closing():
            self._running = self.pipeline[-1][0]
        super().on_response_complete()
        if not self.pipeline:
            self._queued = 0
        if self._refusal is not None and not has_next and not self.transport.is_closing():
            self.transport.write(self._refusal)
            self.transport.close()
        if self.transport.is_closing():
            self._abort_later()

    def pause_writing(self) -> None:
        """Pause the answer to a client that does not read, for a limited time."""
        super().pause_writing()
        self._stall = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Resume the answer."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def shutdown(self) -> None:
        """Close once the answer is out; refuse a request that is not whole."""
        cycle = self._cycle()
        if self._refusal is not None:
            return  # it closes after the answers that are still to come
        if cycle is not None and cycle.more_body and not cycle.response_started:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "the API stops")
        else:
            super().shutdown()
            if self.transport.is_closing():
                self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > HEAD_BYTES:
            raise _HeadTooLargeError

    def _limit(self, seconds: float) -> None:
        self._unlimit()
        self._deadline = self.loop.call_later(seconds, self._too_late, seconds)

    def _unlimit(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self, seconds: float) -> None:
        if self.flow.read_paused:  # the server does not read: an earlier answer is not out yet
            self._limit(seconds)
            return
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT, f"the request was not complete after {seconds:g} s"
        )

    def _refuse_head(self) -> None:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(status, f"address and headers may have {HEAD_BYTES} bytes at most")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer the request that comes in without the application, and end the connection.

        The requests before it get their answers first. Where its own has begun, or is out, the
        connection only ends.
        """
        self._unlimit()
        cycle, answer = self._cycle(), _answer(status, detail)
        has_cycle = self._is_reading and self._head_is_over
        if has_cycle and self.pipeline:
            self.pipeline.popleft()  # its own: the application never hears of it
            self._refusal = answer
            return
        if not has_cycle and cycle is not None and not cycle.response_complete:
            self._refusal = answer
            return
        if not has_cycle or (cycle is not None and not cycle.response_started):
            self.transport.write(answer)
        if cycle is not None:  # what the application answers is discarded
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()
        self._abort_later()

    def _cycle(self) -> RequestResponseCycle | None:
        """Return the newest request, None before the first, which uvicorn's type leaves out."""
        return cast("RequestResponseCycle | None", self.cycle)

    def _abort_later(self) -> None:
        """Abort the connection of a client that does not read to the end."""
        if self._closing is None:
            self._closing = self.loop.call_later(WRITE_SECONDS, self.transport.abort)


def _answer(status: HTTPStatus, detail: str) -> bytes:
    body = Problem(title=status.phrase, status=status, detail=detail, instance="")
    text = body.model_dump_json(exclude_none=True).encode()
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/problem+json",
        f"content-length: {len(text)}",
        "connection: close",
    ]
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        head.append(f"retry-after: {RETRY_SECONDS}")
    return "\r\n".join([*head, "", ""]).encode() + text
