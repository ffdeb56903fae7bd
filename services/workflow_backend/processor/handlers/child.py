"""The program in which a Python handler runs: `python -m ...child package.module:function`.

It reads and writes lines of JSON, as the processor and the handlers' process do. Its first line
tells whether the function is asynchronous, or why it can't be loaded. The parent process gives a
synchronous function one job at a time. Standard output carries the protocol, so what the function
prints goes to standard error, and from there to the log.

Whatever the function does ends in an answer that counts as a try. The answer of a cancelled job
counts no more: the parent, which cancelled it, ignores it.
"""

import asyncio
import functools
import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from .job import Answer, Job, answer_to_error, completed
from .public_text import MAX_PROGRESS, MAX_REASON, describe, public


class _Worker:
    def __init__(self, function: Callable[[Job], Any], out: int) -> None:
        self._function = function
        self._out = out
        self._running: dict[int, asyncio.Task[None]] = {}

    def send(self, **message: Any) -> None:
        line = memoryview(json.dumps(message).encode() + b"\n")
        while line:
            line = line[os.write(self._out, line) :]

    def receive(self, message: dict[str, Any]) -> None:
        if "cancel" in message:
            task = self._running.get(message["cancel"])
            if task is not None:
                task.cancel()
            return
        number = message["run"]
        job = Job.from_dict(message["job"], functools.partial(self._progress, number))
        task = asyncio.create_task(self._run(number, job))
        self._running[number] = task
        task.add_done_callback(lambda _: self._running.pop(number))

    def _progress(self, number: int, text: str) -> None:
        self.send(progress=number, text=public(str(text), MAX_PROGRESS))

    async def _run(self, number: int, job: Job) -> None:
        answer = await self._answer(job)
        self.send(done=number, outcome=answer.outcome, text=answer.text, after=answer.after)

    async def _answer(self, job: Job) -> Answer:
        try:
            result = self._function(job)
            return completed(await result if inspect.isawaitable(result) else result)
        except BaseException as error:
            return _judge(error)


def _judge(error: BaseException) -> Answer:
    try:
        return answer_to_error(error)
    except BaseException:  # the text of an exception may raise as well
        return Answer("retry", type(error).__name__)


def _load(target: str) -> Callable[[Job], Any]:
    module, _, name = target.partition(":")
    function = functools.reduce(getattr, name.split("."), importlib.import_module(module))
    if not callable(function):
        raise TypeError(f"{target} is not a function")
    return function


async def _main(target: str, lines: int, out: int) -> None:
    try:
        function = _load(target)
    except BaseException as error:
        _Worker(print, out).send(refused=public(describe(error), MAX_REASON))
        return
    worker = _Worker(function, out)
    worker.send(ready=1, asynchronous=inspect.iscoroutinefunction(function))
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(lines, "rb")
    )
    while line := await reader.readline():
        worker.receive(json.loads(line))


def main() -> None:
    """Serve jobs until standard input ends."""
    lines, out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    asyncio.run(_main(sys.argv[1], lines, out))


if __name__ == "__main__":
    main()
