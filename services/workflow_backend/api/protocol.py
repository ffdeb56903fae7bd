"""One connection: what it may hold before its request is whole, and how long it may take.

uvicorn parses and answers; what a client could use to take memory, files or time without a token
is bounded here, before the application hears of it.
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
"""Clients and proxies keep an idle connection for less, so it is they who end it: one that the
server ends while a request is on its way breaks that request."""


MOST_WAITING = 32
"""Requests of one connection behind the one that is answered: each takes a hundred times the bytes
that it came with, and a client without a token can send thousands at once."""


class _HeadTooLargeError(Exception):
    """The request's head is larger than it may be."""


class _TooManyError(Exception):
    """More requests wait for the answer before theirs than may."""


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 within bounds."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections
        self._address: str | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._head = 0
        self._head_is_over = False
        self._beside_body = 0
        self._body = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the connection in, or refuse it where there are too many."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        refusal = self._connections.refusal(address)
        if refusal is not None:
            self._refuse(refusal, "too many connections are open")
            return
        self._address = address
        self._limit(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out, and end its limits."""
        super().connection_lost(exc)
        if self._address is not None:
            self._connections.leave(self._address)
        for timer in (self._deadline, self._stall, self._closing):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head, or what stands between a body's parts, has a limit."""
        if self.transport.is_closing():
            return
        for begin in range(0, len(data), SLICE_BYTES):
            self._feed(data[begin : begin + SLICE_BYTES])
            if self.transport.is_closing():
                return

    def _feed(self, data: bytes) -> None:
        self._beside_body += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # the request was taken as any other: there is nothing to change to
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLargeError):
                self._refuse_head()
            elif isinstance(error.__context__, _TooManyError):
                self._refuse(HTTPStatus.TOO_MANY_REQUESTS, "too many requests wait for an answer")
            else:
                self._refuse(HTTPStatus.BAD_REQUEST, "this is no HTTP request")
            return
        # Small parts of a body have a few bytes of their own each.
        if self._beside_body > HEAD_BYTES + 8 * self._body:
            self._refuse_head()

    def on_message_begin(self) -> None:
        """Begin a request: from here its head is counted and timed."""
        if len(self.pipeline) >= MOST_WAITING:
            raise _TooManyError
        self._unset_keepalive_if_required()
        # The slice that it began in is not counted: it may be another request's for the most part.
        self._head = self._beside_body = self._body = 0
        self._head_is_over = False
        if self._deadline is None:
            self._limit(HEAD_SECONDS)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one behind a body tells nothing that anybody asked for."""
        self._count(len(name) + len(value) + 4)
        if not self._head_is_over:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer: what is left of the request has a time of its own."""
        self._unset_keepalive_if_required()
        self._limit(BODY_SECONDS)
        self._head_is_over = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body += len(body)
        self._beside_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request's time: it is whole."""
        self._unlimit()
        self._beside_body = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on to the next request, or wait for one."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()

    def pause_writing(self) -> None:
        """Hold the answer back: the client does not read. It must go on in time."""
        super().pause_writing()
        self._stall = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def shutdown(self) -> None:
        """End the connection as soon as its answer is out; a request that is not whole has none."""
        cycle = self._cycle()
        if cycle is not None and cycle.more_body and not cycle.response_started:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "the API stops")
        else:
            super().shutdown()
            if self.transport.is_closing():
                self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that was idle for long enough."""
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
        if self.flow.read_paused:  # it is we who do not read: an earlier answer is not out yet
            self._limit(seconds)
            return
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"the request was not whole after {seconds:g} s")

    def _refuse_head(self) -> None:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._refuse(status, f"address and headers may have {HEAD_BYTES} bytes at most")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer without the application and end the connection; in mid-answer only end it."""
        cycle = self._cycle()
        answering = cycle is not None and cycle.response_started and not cycle.response_complete
        if not answering and not self.pipeline:
            self.transport.write(_answer(status, detail))
        if cycle is not None:  # nobody hears any more what the application says
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()
        self._abort_later()

    def _cycle(self) -> RequestResponseCycle | None:
        """Return the newest request, None before the first: uvicorn's type does not say so."""
        return cast("RequestResponseCycle | None", self.cycle)

    def _abort_later(self) -> None:
        """End what a client does not read to its end."""
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
