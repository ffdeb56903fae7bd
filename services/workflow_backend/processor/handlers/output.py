"""The output of handlers' programs: logged, or kept as the text of the result."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from ...printable import printable
from .job import Job

log = logging.getLogger(__name__)

MAX_LINE = 2000
"""Characters of a line in the log; a longer one is cut."""

MAX_LOGGED = 65536
"""Bytes that one run may write to the log."""

REST_SECONDS = 1.0
"""How long the pipes of a program that has ended are read."""


class LoggedStream:
    """A program's standard error: each line is logged as it comes, prefixed by `source`."""

    def __init__(self, stream: asyncio.StreamReader, source: str) -> None:
        self._stream = stream
        self._left = MAX_LOGGED
        self.source = source
        self.last = ""
        """The last line that is not empty."""

    def begin(self, source: str) -> None:
        """Count the lines from here on as those of another run."""
        self.source = source
        self._left = MAX_LOGGED

    async def read(self) -> None:
        """Read to the end."""
        rest = b""
        while chunk := await self._stream.read(MAX_LOGGED):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
            if len(rest) > MAX_LINE:
                self._take(rest)
                rest = b""
        self._take(rest)

    def _take(self, line: bytes) -> None:
        text = printable(line[:MAX_LINE].decode(errors="replace").strip())
        if not text:
            return
        self.last = text
        if self._left <= 0:
            return
        self._left -= len(line)
        log.info("%s: %s", self.source, text)
        if self._left <= 0:
            log.warning("%s: the rest of its output is left out", self.source)


class KeptStream:
    """A program's standard output: lines for which `notice` returns True are not kept."""

    def __init__(
        self, stream: asyncio.StreamReader, most: int, notice: Callable[[bytes], bool]
    ) -> None:
        self._stream = stream
        self._most = most
        self._notice = notice
        self._kept = b""
        self.is_over_limit = False

    @property
    def text(self) -> str:
        """The text that was kept so far."""
        return self._kept.decode(errors="replace")

    async def read(self) -> None:
        """Read to the end, or until more than `most` bytes would be kept."""
        while not self.is_over_limit:
            try:
                line = await self._stream.readline()
            except ValueError:  # a line longer than the stream's limit
                self.is_over_limit = True
                return
            if not line:
                return
            if not self._notice(line):
                self._kept += line
                self.is_over_limit = len(self._kept) > self._most


def source(job: Job) -> str:
    """Name a run for the log."""
    return f"[{job.item['kind']}] {job.item['item_id']}"


async def ended(readers: Iterable[asyncio.Task[Any]]) -> None:
    """Wait for the readers of a program that has ended; another process may hold its pipes open."""
    readers = list(readers)
    await asyncio.wait(readers, timeout=REST_SECONDS)
    for reader in readers:
        reader.cancel()
