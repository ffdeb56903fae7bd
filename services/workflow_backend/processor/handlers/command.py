"""The handler `command`: a program gets the job as JSON on its standard input.

Exit code 0 completes the item, 65 (EX_DATAERR) fails it for good; any other, and an end by a
signal, is tried again.
"""

import asyncio
import contextlib
import json
import signal
from collections.abc import Sequence

from . import programs
from .job import Answer, Job, completed_by_text

MAX_OUTPUT = 65536
FAILED = 65


class Command:
    """Starts `argv` for each try, never through a shell."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv

    async def start(self) -> None:
        """Nothing is needed."""

    async def close(self) -> None:
        """Each run ends what it began."""

    async def run(self, job: Job) -> Answer:
        """Run the program to its end; when cancelled, kill it and all that it started."""
        try:
            program = await programs.start(self._argv, MAX_OUTPUT, own_errors=True)
        except OSError as error:
            return Answer("retry", f"{self._argv[0]} can't be started: {error.strerror}")
        try:
            return await _talk(program, job)
        finally:
            await program.end()


async def _talk(program: programs.Program, job: Job) -> Answer:
    ended = asyncio.create_task(program.wait())
    output = asyncio.create_task(_read(program.output, job))
    complaint = asyncio.create_task(programs.tail(program.errors, 2048))
    parts = (asyncio.create_task(_feed(program.input, job)), ended, output, complaint)
    try:
        await asyncio.wait({ended, output}, return_when=asyncio.FIRST_COMPLETED)
        too_much = output.done() and output.result() is None
        if not too_much:
            await ended
        # Whatever the program left behind would hold its output open.
        code = await program.end()
        text = await output
        if text is None:
            return Answer("failed", f"it wrote more than {MAX_OUTPUT} bytes")
        return _judge(code, text, await complaint)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)


async def _feed(stream: asyncio.StreamWriter, job: Job) -> None:
    # A program need not read what it does not want.
    with contextlib.suppress(ConnectionError):
        stream.write(json.dumps(job.as_dict()).encode() + b"\n")
        await stream.drain()
    stream.close()


async def _read(stream: asyncio.StreamReader, job: Job) -> str | None:
    """Return all of the output, None where it is too much; progress is told as it comes."""
    output = b""
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # a line longer than the limit
            return None
        output += line
        if len(output) > MAX_OUTPUT:
            return None
        if not line:
            return output.decode(errors="replace")
        if b'"progress"' in line:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                job.progress(str(json.loads(line)["progress"]))


def _judge(code: int, output: str, complaint: str) -> Answer:
    if code == 0:
        return completed_by_text(output)
    lines = complaint.strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    if code < 0:
        return Answer("retry", f"ended by {signal.Signals(-code).name}{last}")
    return Answer("failed" if code == FAILED else "retry", f"exit code {code}{last}")
