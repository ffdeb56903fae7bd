"""The handler `command`: a program that gets the job as JSON on its standard input.

Exit code 0 completes the item and 65 (EX_DATAERR) fails it. After any other exit code, or a signal,
it is tried again.
"""

import asyncio
import contextlib
import json
import signal
from collections.abc import Sequence
from functools import partial

from . import programs
from .job import Answer, Job, completed_by_text
from .output import KeptStream, LoggedStream, ended, source

MAX_OUTPUT = 65536
MAX_LINE = 1 << 20
"""Bytes of a line. It is larger than MAX_OUTPUT because lines of progress are not kept."""

FAILED = 65


class Command:
    """Starts `argv` for each try, never through a shell."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv

    async def start(self) -> None:
        """Need no preparation."""

    async def close(self) -> None:
        """Leave nothing running: each run ends what it began."""

    async def run(self, job: Job) -> Answer:
        """Run the program to its end; when cancelled, kill it and all that it started."""
        try:
            program = await programs.start(self._argv, MAX_LINE)
        except OSError as error:
            return Answer("retry", f"{self._argv[0]} can't be started: {error.strerror}")
        try:
            return await _talk(program, job)
        finally:
            await program.end()


async def _talk(program: programs.Program, job: Job) -> Answer:
    kept = KeptStream(program.output, MAX_OUTPUT, partial(_progress, job))
    errors = LoggedStream(program.errors, source(job))
    output = asyncio.create_task(kept.read())
    readers = (output, asyncio.create_task(errors.read()))
    others = (asyncio.create_task(_feed(program.input, job)), asyncio.create_task(program.wait()))
    try:
        await asyncio.wait({others[1], output}, return_when=asyncio.FIRST_COMPLETED)
        if not kept.is_over_limit:
            code = await program.wait()
            await ended(readers)
            if not kept.is_over_limit:
                return _judge(code, kept.text, errors.last)
        return Answer("failed", f"it wrote more than {MAX_OUTPUT} bytes")
    finally:
        for task in (*readers, *others):
            task.cancel()
        await asyncio.gather(*readers, *others, return_exceptions=True)


async def _feed(stream: asyncio.StreamWriter, job: Job) -> None:
    # A program may end, or close its input, without reading the job.
    with contextlib.suppress(ConnectionError):
        stream.write(json.dumps(job.as_dict()).encode() + b"\n")
        await stream.drain()
    stream.close()


def _progress(job: Job, line: bytes) -> bool:
    """Report the progress in a line, if any; return whether the line holds nothing else."""
    if b'"progress"' not in line:
        return False
    try:
        value = json.loads(line)
    except ValueError, RecursionError:
        return False
    match value:
        case {"progress": progress}:
            job.progress(str(progress))
            return "result_uri" not in value
    return False


def _judge(code: int, output: str, complaint: str) -> Answer:
    if code == 0:
        return completed_by_text(output)
    last = f": {complaint}" if complaint else ""
    if code < 0:
        return Answer("retry", f"ended by {_signal(-code)}{last}")
    return Answer("failed" if code == FAILED else "retry", f"exit code {code}{last}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time ones have no name
        return f"signal {number}"
