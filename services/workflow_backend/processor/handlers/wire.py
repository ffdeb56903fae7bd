"""The protocol between processor and handlers' process: lines of JSON, each a list of messages.

From the processor: {"run": number, "job": {...}}, {"cancel": number}, {"ping": 1}. From the
handlers: {"hello": PROTOCOL, "kinds": {...}} first, {"done": number, "outcome", "text", "after"},
{"progress": number, "text"}, {"closing": 1}, {"pong": 1}. A number names a run on its connection.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from ...errors import WorkflowError

PROTOCOL = 1
MAX_LINE = 1 << 20
MESSAGES = 100
"""Messages in a line, at most. A record takes up to 6 KiB, so that a line stays below MAX_LINE."""

CLOSE_SECONDS = 2.0

type Message = dict[str, Any]


class WireError(WorkflowError):
    """The other side of the handlers' socket broke the protocol."""


class Channel:
    """One connection. The messages of one turn of the event loop are sent as one line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: list[Message] = []

    def send(self, message: Message) -> None:
        """Send a message with the others of this turn; on a closed connection it is dropped."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(message)

    def _flush(self) -> None:
        messages, self._waiting = self._waiting, []
        if self._writer.is_closing():
            return
        for start in range(0, len(messages), MESSAGES):
            line = json.dumps(messages[start : start + MESSAGES], separators=(",", ":"))
            self._writer.write(line.encode() + b"\n")

    async def receive(self) -> AsyncIterator[Message]:
        """Yield messages until the connection ends; raises WireError on anything else."""
        while True:
            try:
                line = await self._reader.readline()
            except ConnectionError:
                return
            except ValueError as error:
                raise WireError(f"a line is longer than {MAX_LINE} bytes") from error
            if not line.endswith(b"\n"):
                return
            for message in _messages(line):
                yield message

    async def close(self) -> None:
        """Send what is left and close, within a time limit: the peer may not read any more."""
        if self._waiting:
            self._flush()
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.wait_closed()
        except TimeoutError:
            self._writer.transport.abort()
        except ConnectionError:
            return  # the other side was first


def _messages(line: bytes) -> list[Message]:
    try:
        messages = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError("a line is not JSON") from error
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise WireError("a line is not a list of messages")
    return messages
