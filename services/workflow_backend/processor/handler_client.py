"""The processor's connection to the handlers' process, which may end and come back at any time."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from ..background import background
from ..errors import WorkflowError
from .handlers.job import Answer, Job, seconds
from .handlers.kinds import Kind, kinds_from
from .handlers.wire import MAX_LINE, PROTOCOL, Channel, Message, WireError

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 0.2
PING_SECONDS = 5.0
UNANSWERED_PINGS = 3
"""After this many pings without an answer the process is taken to hang.

Pings are counted rather than timed: a processor that was frozen itself sent none meanwhile.
"""

type Progress = Callable[[str], None]


class HandlersAway(WorkflowError):
    """The handlers' process is not running."""


class NoHandler(WorkflowError):
    """There is no handler for items of this kind."""


class HandlerClient:
    """Keeps a connection to the socket at `path`, and sets `wake` when the process takes jobs.

    `kinds` are those that the process last announced. `problem` is empty while it takes jobs.
    """

    def __init__(self, path: Path, wake: asyncio.Event) -> None:
        self._path = path
        self._open = asyncio.Event()
        self._channel: Channel | None = None
        self._numbers = itertools.count()
        self._unanswered = 0
        self._runs: dict[int, tuple[asyncio.Future[Answer], Progress]] = {}
        self._is_closing = False
        self._is_welcomed = False
        self.kinds: dict[str, Kind] = {}
        self.problem = ""
        self._wake = wake

    @property
    def connected(self) -> bool:
        """Whether jobs are taken."""
        return self._open.is_set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[HandlerClient]:
        """Keep the connection for as long as the block runs."""
        async with background(self._keep_connected(), "handlers"):
            yield self

    async def run(self, job: Job, patience: float) -> Answer:
        """Make one try; cancelling this cancels the handler.

        Waits up to `patience` seconds for the process; raises HandlersAway or NoHandler if nothing
        was begun.
        """
        try:
            await asyncio.wait_for(self._open.wait(), patience)
        except TimeoutError:
            raise HandlersAway(self.problem) from None
        kind = job.item["kind"]
        channel = self._channel
        if kind not in self.kinds or channel is None:
            raise NoHandler(f"there is no handler for items of kind {kind}")
        number = next(self._numbers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._runs[number] = (future, job.progress)
        channel.send({"run": number, "job": job.as_dict()})
        try:
            return await future
        except asyncio.CancelledError:
            channel.send({"cancel": number})
            raise
        finally:
            self._runs.pop(number, None)

    async def _keep_connected(self) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE)
            except OSError as error:
                self._disconnected(f"no connection to the handlers' process: {error}")
            else:
                channel = Channel(reader, writer)
                try:
                    self._disconnected(await self._talk(channel))
                finally:
                    await channel.close()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _talk(self, channel: Channel) -> str:
        """Listen until the connection ends; return why it did."""
        self._channel = channel
        self._unanswered = 0
        self._is_welcomed = False
        try:
            async with asyncio.timeout(None) as limit:
                pinging = asyncio.create_task(self._ping(channel, limit))
                try:
                    async for message in channel.receive():
                        self._unanswered = 0
                        self._receive(message)
                finally:
                    pinging.cancel()
        except TimeoutError:
            return f"the handlers' process has not answered {UNANSWERED_PINGS} pings"
        except WireError as error:
            return f"the handlers' process broke the protocol: {error}"
        except Exception:
            # An unexpected error ends this connection only, not the processor.
            log.exception("the connection to the handlers' process failed")
            return "the connection to the handlers' process failed; the log has the trace"
        return "the handlers' process has ended"

    async def _ping(self, channel: Channel, limit: asyncio.Timeout) -> None:
        """Send pings without end; let `limit` expire when none is answered."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PING_SECONDS)
            if self._unanswered >= UNANSWERED_PINGS:
                limit.reschedule(loop.time())
                return
            self._unanswered += 1
            channel.send({"ping": 1})

    def _disconnected(self, why: str) -> None:
        if why != self.problem:
            log.warning("%s", why)
        self.problem = why
        self._open.clear()
        self._channel = None
        for future, _ in self._runs.values():
            if not future.done():
                future.set_result(Answer("retry", "the handlers' process ended during the try"))

    def _receive(self, message: Message) -> None:
        match message:
            case {"done": int(number)}:
                run = self._runs.get(number)
                if run is not None and not run[0].done():
                    run[0].set_result(self._answer(message))
            case {"progress": int(number), "text": str(text)}:
                run = self._runs.get(number)
                if run is not None:
                    run[1](text)
            case {"hello": protocol, "kinds": kinds}:
                # Each hello is logged and wakes the claiming, so that one is enough.
                if self._is_welcomed:
                    raise WireError("it says hello again")
                self._welcome(protocol, kinds)
                self._is_welcomed = True
            case {"closing": _}:
                self.problem = "the handlers' process is ending"
                self._is_closing = True
                self._open.clear()

    def _welcome(self, protocol: object, kinds: object) -> None:
        if protocol != PROTOCOL:
            raise WireError(f"it speaks protocol {protocol!r}, not {PROTOCOL}")
        try:
            self.kinds = kinds_from(kinds)
        except ValueError as error:
            raise WireError(f"its kinds can't be read: {error}") from error
        log.info("the handlers' process does %s", ", ".join(sorted(self.kinds)))
        self.problem = ""
        self._is_closing = False
        self._open.set()
        self._wake.set()

    def _answer(self, message: Message) -> Answer:
        """Read the answer to one run; an unreadable one is a failed try of that run alone."""
        match message:
            case {"outcome": "interrupted", "text": str()} if not self._is_closing:
                return Answer("retry", "the handlers' process abandoned the try and goes on")
            case {
                "outcome": "completed" | "failed" | "retry" | "interrupted" as outcome,
                "text": str(text),
                "after": after,
            }:
                with contextlib.suppress(ValueError):
                    return Answer(outcome, text, seconds(after))
        log.warning("the handlers' process gave an answer that can't be read: %.200r", message)
        return Answer("retry", "the handlers' process gave an answer that can't be read")
