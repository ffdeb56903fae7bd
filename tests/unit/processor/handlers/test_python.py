"""The handler `python`: whatever a function does, it is one try of its own item."""

import asyncio
import signal

import pytest

from workflow_backend.processor.handler_client import HandlerClient
from workflow_backend.processor.handlers.job import LONGEST_WAIT, Answer
from workflow_backend.processor.handlers.public_text import MAX_PROGRESS, MAX_REASON

from .harness import Handlers, is_alive, until

NO_TIME = "(its `after` is ignored: it is neither a number of seconds nor a timedelta)"


@pytest.mark.parametrize("kind", ["odd", "odd-async"])
@pytest.mark.parametrize(
    ("item_id", "expected"),
    [
        ("cancelled", Answer("retry", "CancelledError")),
        ("base", Answer("retry", "Base: of my own")),
        ("mute", Answer("retry", "Mute")),
        ("exit", Answer("retry", "SystemExit: 3")),
        ("interrupt", Answer("retry", "KeyboardInterrupt")),
        ("soon", Answer("retry", f"later {NO_TIME}")),
        ("nan", Answer("retry", f"later {NO_TIME}")),
        ("delta", Answer("retry", "later", 120.0)),
        ("huge", Answer("retry", "later", LONGEST_WAIT)),
        ("fail", Answer("failed", "F" * (MAX_REASON - 3) + "...")),
        ("secret", Answer("retry", "OSError: no answer from https://***@host/x?***")),
    ],
)
async def test_function_that_raises_anything_gets_one_answer_and_lives_on(
    running: Handlers, client: HandlerClient, kind: str, item_id: str, expected: Answer
) -> None:
    before = await client.run(running.job(kind, "pid"), 20)
    beside = asyncio.create_task(client.run(running.job("sync", "beside"), 20))
    assert await client.run(running.job(kind, item_id), 20) == expected
    assert (await beside).outcome == "completed"
    assert await client.run(running.job(kind, "pid"), 20) == before, "another process"


async def test_progress_is_cut_and_of_much_the_newest_is_reported(
    running: Handlers, client: HandlerClient
) -> None:
    assert (await client.run(running.job("odd", "talks"), 20)).outcome == "completed"
    assert running.progress[0] == "P" * (MAX_PROGRESS - 3) + "..."
    assert len(running.progress) < 100


async def test_job_that_does_not_end_when_cancelled_costs_the_others_nothing(
    running: Handlers, client: HandlerClient
) -> None:
    jobs = [running.job("odd-async", f"patient-{n}") for n in range(3)]
    others = [asyncio.create_task(client.run(job, 20)) for job in jobs]
    deaf = asyncio.create_task(client.run(running.job("odd-async", "deaf"), 20))
    await until(lambda: "deaf" in running.progress, "the job that does not listen")
    deaf.cancel()
    answers = await asyncio.gather(*others)
    assert {answer.outcome for answer in answers} == {"completed"}, answers
    (process,) = {int(answer.text.removeprefix("by:")) for answer in answers}
    # Its process is not used again, and ends with the last of the others.
    after = await client.run(running.job("odd-async", "next"), 20)
    assert after.outcome == "completed"
    assert after.text != f"by:{process}"
    assert not is_alive(process)


async def test_daemon_of_a_function_ends_with_its_timeout(
    running: Handlers, client: HandlerClient
) -> None:
    file = running.path / "daemon-pid"
    answer = await client.run(running.job("daemon", "x", str(file)), 20)
    assert answer == Answer("retry", "it took longer than 2 s")
    assert not is_alive(int(file.read_text()))


async def test_what_a_function_leaves_running_ends_with_its_process(handlers: Handlers) -> None:
    handlers.start('[daemon]\nhandler = "python"\nfunction = "hands:daemon"\n')
    file = handlers.path / "pid-of-what-is-left"
    async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
        answer = await client.run(handlers.job("daemon", "returns", str(file)), 60)
        assert answer.outcome == "completed"
        assert is_alive(int(file.read_text()))  # the function's next job may use it
        assert await asyncio.to_thread(handlers.end, signal.SIGTERM) == 0
    assert not is_alive(int(file.read_text()))


async def test_prints_are_lines_of_the_log_that_name_the_item(
    running: Handlers, client: HandlerClient
) -> None:
    await client.run(running.job("sync", "printing"), 20)
    messages = [line["message"] for line in running.lines()]
    assert "[sync] printing: a word for the log" in messages
