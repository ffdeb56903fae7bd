"""The handler `python`: a function that runs in child processes, which can be killed.

A synchronous function has a process for each job that runs at the same time, an asynchronous one a
single process. No code of a handler runs in the process that holds the socket.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import sys
from typing import Any

from ...errors import SettingError
from . import programs
from .job import Answer, Job, seconds
from .output import REST_SECONDS, LoggedStream, ended, source
from .public_text import describe

log = logging.getLogger(__name__)

START_SECONDS = 30.0
CANCEL_SECONDS = 2.0
MAX_LINE = 65536
_ENDED = b'{"refused": "its process ended"}'


class Python:
    """Calls `target`, "package.module:function"."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()
        self._starting = asyncio.Lock()
        self._is_asynchronous = False

    async def start(self) -> None:
        """Load the function in a first child; raises SettingError where it can't be loaded."""
        self._idle.append(await self._child())

    async def close(self) -> None:
        """End every child."""
        await asyncio.gather(*(child.end() for child in list(self._all)))

    async def run(self, job: Job) -> Answer:
        """Run the function once; when cancelled, end it, if necessary by killing its process."""
        try:
            child = self._take() or await self._another()
        except SettingError as error:
            return Answer("retry", str(error))
        if child.asynchronous:
            return await child.run(job)
        try:
            answer = await child.run(job)
        except BaseException:
            await child.end()  # it is in the middle of the job
            raise
        self._idle.append(child)
        return answer

    def _take(self) -> _Child | None:
        """Return a child that takes jobs; an asynchronous one stays available for others."""
        while self._idle and not self._idle[-1].ready:
            self._idle.pop()
        if not self._idle:
            return None
        return self._idle[-1] if self._idle[-1].asynchronous else self._idle.pop()

    async def _another(self) -> _Child:
        if not self._is_asynchronous:
            return await self._child()
        async with self._starting:
            child = self._take()
            if child is None:
                child = await self._child()
                self._idle.append(child)
            return child

    async def _child(self) -> _Child:
        child = _Child(self._target)
        self._all.add(child)
        try:
            async with asyncio.timeout(START_SECONDS):
                await child.start()
        except (OSError, TimeoutError) as error:
            await self._discard(child)
            reason = str(error) or "it takes too long"
            raise SettingError(f"{self._target} can't be loaded: {reason}") from error
        except BaseException:
            await self._discard(child)
            raise
        self._is_asynchronous = child.asynchronous
        child.listening.add_done_callback(lambda _: self._all.discard(child))
        return child

    async def _discard(self, child: _Child) -> None:
        self._all.discard(child)
        await child.end()


class _Child:
    """One process that runs the function."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._program: programs.Program | None = None
        self._errors: LoggedStream
        self._numbers = itertools.count()
        self._waiting: dict[int, tuple[Job, asyncio.Future[Answer]]] = {}
        self._is_unresponsive = False
        self.listening: asyncio.Task[None]
        self.asynchronous = False

    @property
    def ready(self) -> bool:
        """Whether it takes jobs."""
        return not self.listening.done() and not self._is_unresponsive

    async def start(self) -> None:
        """Start the process and wait until the function is loaded."""
        command = [sys.executable, "-m", f"{__package__}.child", self._target]
        self._program = program = await programs.start(command, MAX_LINE)
        self._errors = LoggedStream(program.errors, self._target)
        logging_errors = asyncio.create_task(self._errors.read())
        try:
            first = json.loads(await program.output.readline() or _ENDED)
        except BaseException:
            logging_errors.cancel()
            raise
        if "refused" in first:
            await program.end()
            await ended([logging_errors])
            raise SettingError(f"{self._target} can't be loaded: {first['refused']}")
        self.asynchronous = first["asynchronous"]
        self.listening = asyncio.create_task(self._listen(program, logging_errors))

    async def end(self) -> None:
        """Kill the process and what it started."""
        if self._program is not None:
            await self._program.end()

    async def run(self, job: Job) -> Answer:
        """Hand in one job and wait for its answer."""
        number = next(self._numbers)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (job, future)
        self._errors.begin(self._target if self.asynchronous else source(job))
        try:
            self._send(run=number, job=job.as_dict())
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if self.asynchronous:
                await self._cancel(number, future)
            raise
        finally:
            del self._waiting[number]
            if self._is_unresponsive and not self._waiting:
                await self.end()

    async def _cancel(self, number: int, future: asyncio.Future[Answer]) -> None:
        """Cancel a job. If it does not react, its process takes no more jobs.

        The process is killed once its other jobs have ended, which are in the middle of their
        work.
        """
        self._send(cancel=number)
        try:
            await asyncio.wait_for(asyncio.shield(future), CANCEL_SECONDS)
        except TimeoutError:
            log.warning("%s: a job does not react to its cancellation", self._target)
            self._is_unresponsive = True

    def _send(self, **message: Any) -> None:
        if self._program is not None and not self._program.input.is_closing():
            self._program.input.write(json.dumps(message).encode() + b"\n")

    async def _listen(self, program: programs.Program, logging_errors: asyncio.Task[None]) -> None:
        try:
            while line := await program.output.readline():
                self._receive(json.loads(line))
            with contextlib.suppress(TimeoutError):  # its end follows that of its output
                await asyncio.wait_for(program.wait(), REST_SECONDS)
        except (ValueError, RecursionError) as error:
            log.warning("%s: its process broke the protocol: %s", self._target, describe(error))
        finally:
            reason = f"the handler's process ended with code {await program.end()}"
            await ended([logging_errors])
            for _, future in self._waiting.values():
                if not future.done():
                    future.set_result(Answer("retry", reason))

    def _receive(self, message: object) -> None:
        match message:
            case {"progress": int(number), "text": str(text)}:
                if number in self._waiting:
                    self._waiting[number][0].progress(text)
            case {
                "done": int(number),
                "outcome": "completed" | "failed" | "retry" as outcome,
                "text": str(text),
                "after": after,
            }:
                _, future = self._waiting.get(number, (None, None))
                if future is not None and not future.done():
                    future.set_result(Answer(outcome, text, seconds(after)))
            case _:
                raise ValueError("unknown message")
