"""Whatever a handlers' process says ends its own run or its own connection at worst."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.processor.handler_client import HandlerClient
from workflow_backend.processor.handlers.job import LONGEST_WAIT, Answer, Job

KIND = {
    "concurrency": 1,
    "timeout_seconds": 60.0,
    "retry": {"tries": 3, "first_seconds": 1.0, "longest_seconds": 5.0},
}
HELLO = {"hello": 1, "kinds": {"job": KIND}}
UNREADABLE = Answer("retry", "the handlers' process gave an answer that can't be read")


def job(item_id: str, progress: Callable[[str], None] = lambda _: None) -> Job:
    return Job({"item_id": item_id, "kind": "job"}, 1, 1, "key", progress)


class Hostile:
    """A handlers' process that says `hellos` in turn, the last again and again, and then `says`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hellos: list[Any] = [HELLO]
        self.says: Callable[[int, str], Any] = lambda number, _: answer(number)
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = self.hellos[min(self.connections, len(self.hellos) - 1)]
        self.connections += 1
        writer.write(hello if isinstance(hello, bytes) else json.dumps([hello]).encode() + b"\n")
        while line := await reader.readline():
            for message in json.loads(line):
                if "run" in message:
                    answer = self.says(message["run"], message["job"]["item"]["item_id"])
                    writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()


def answer(number: int, **other: Any) -> list[dict[str, Any]]:
    return [{"done": number, "outcome": "completed", "text": "x", "after": None} | other]


@pytest.fixture
async def hostile(tmp_path: Path) -> AsyncIterator[Hostile]:
    hostile = Hostile(tmp_path / "handlers.sock")
    server = await asyncio.start_unix_server(hostile.serve, hostile.path)
    yield hostile
    server.close()


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"after": "soon"}, UNREADABLE),
        ({"after": [1]}, UNREADABLE),
        ({"outcome": "lost"}, UNREADABLE),
        ({"outcome": ["completed"]}, UNREADABLE),
        ({"text": None}, UNREADABLE),
        ({"outcome": "retry", "after": 10**400}, Answer("retry", "x", LONGEST_WAIT)),
        ({"outcome": "retry", "after": -5}, Answer("retry", "x", 0.0)),
        (
            {"outcome": "interrupted"},
            Answer("retry", "the handlers' process abandoned the try and goes on"),
        ),
    ],
)
async def test_answer_that_can_not_be_read_is_a_failed_try_of_its_own_run(
    hostile: Hostile, other: dict[str, Any], expected: Answer
) -> None:
    begun = asyncio.Event()

    def says(number: int, item_id: str) -> Any:
        if item_id == "first":
            begun.set()
            return []
        # The answer to the first, which was not read yet, comes behind the odd one.
        return answer(number, **other) + answer(number - 1)

    hostile.says = says
    async with HandlerClient(hostile.path, asyncio.Event()).running() as client:
        first = asyncio.create_task(client.run(job("first"), 5))
        await begun.wait()
        assert await client.run(job("second"), 5) == expected
        assert await first == Answer("completed", "x")
    assert hostile.connections == 1


@pytest.mark.parametrize(
    "hello",
    [
        {"hello": 1, "kinds": []},
        {"hello": 1, "kinds": {"job": {}}},
        {"hello": 1, "kinds": {"job": KIND | {"concurrency": 10**400}}},
        {"hello": 1, "kinds": {"job": KIND | {"concurrency": 0}}},
        {"hello": 1, "kinds": {"job": KIND | {"timeout_seconds": "60"}}},
        {"hello": [], "kinds": {}},
        {"done": 10**30},
        b'[{"hello": 1, "kinds": {"job": {"concurrency": 1e999}}}]\n',
        b'[{"hello": 1, "kinds": {"job": {"concurrency": NaN}}}]\n',
        b"[" * 100_000 + b"\n",
        b'{"hello": 1}\n',
        b"\xff\xfe\n",
        b"1" * (1 << 21) + b"\n",
    ],
)
async def test_hostile_hello_ends_its_connection_and_the_next_is_served(
    hostile: Hostile, hello: Any
) -> None:
    hostile.hellos = [hello, HELLO]
    if hello == {"done": 10**30}:  # harmless, so that there is no second connection
        hostile.hellos = [b"".join(json.dumps([h]).encode() + b"\n" for h in (hello, HELLO))]
    async with HandlerClient(hostile.path, asyncio.Event()).running() as client:
        assert await client.run(job("x"), 5) == Answer("completed", "x")
        assert client.problem == ""


async def test_hello_is_said_once_for_a_connection(
    hostile: Hostile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    again = json.dumps([HELLO] * 1_000).encode() + b"\n"
    hostile.hellos = [again, HELLO]
    async with HandlerClient(hostile.path, asyncio.Event()).running() as client:
        async with asyncio.timeout(20):
            while hostile.connections < 2 or not client.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await client.run(job("x"), 5) == Answer("completed", "x")
    assert caplog.text.count("process does job") == 2
    assert "says hello again" in caplog.text


async def test_fault_in_what_a_message_sets_off_ends_the_connection_only(
    hostile: Hostile, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> None:
        raise KeyError("a fault of ours")

    hostile.says = lambda number, item_id: (
        [{"progress": number, "text": "x"}] if item_id == "faulty" else answer(number)
    )
    async with HandlerClient(hostile.path, asyncio.Event()).running() as client:
        assert (await client.run(job("faulty", fail), 5)).outcome == "retry"
        assert await client.run(job("x"), 5) == Answer("completed", "x")
    assert "KeyError" in caplog.text
