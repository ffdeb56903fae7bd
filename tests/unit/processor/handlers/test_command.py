"""The handler `command`: what a program leaves behind, how much it says, and where that goes."""

import asyncio
import signal

from workflow_backend.processor.handler_client import HandlerClient
from workflow_backend.processor.handlers.job import Answer
from workflow_backend.processor.handlers.output import MAX_LOGGED
from workflow_backend.processor.handlers.public_text import MAX_PROGRESS

from .harness import BRIEF, Handlers, is_alive, until


async def test_program_that_leaves_a_daemon_with_its_output_is_done(
    running: Handlers, client: HandlerClient
) -> None:
    file = running.path / "pid-of-daemon"
    job = running.job("command", "daemon", str(file))
    async with asyncio.timeout(15):  # the daemon would hold the output open for a minute
        assert await client.run(job, 20) == Answer("completed", "made:chain/con/daemon")
    assert not is_alive(int(file.read_text()))


async def test_timeout_ends_daemons_in_sessions_of_their_own(
    running: Handlers, client: HandlerClient
) -> None:
    file = running.path / "pid-of-daemons"
    answer = await client.run(running.job("brief", "daemons", str(file)), 20)
    assert answer == Answer("retry", "it took longer than 4 s")
    assert not is_alive(int(file.read_text()))


async def test_daemons_end_with_a_handlers_process_that_is_killed(handlers: Handlers) -> None:
    handlers.start(BRIEF)
    file = handlers.path / "pid"
    async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
        trying = asyncio.create_task(client.run(handlers.job("command", "daemons", str(file)), 20))
        await until(lambda: file.exists() and file.read_text().strip(), "the daemon")
        handlers.end(signal.SIGKILL)
        await until(lambda: not is_alive(int(file.read_text())), "the end of the daemon")
        await trying


async def test_progress_does_not_count_as_output(running: Handlers, client: HandlerClient) -> None:
    answer = await client.run(running.job("command", "steps"), 20)
    assert answer == Answer("completed", "made:chain/con/steps")
    assert running.progress[0] == "P" * (MAX_PROGRESS - 3) + "..."
    assert all(step.startswith("step ") for step in running.progress[1:])


async def test_standard_error_goes_to_the_log_and_its_last_line_into_the_reason(
    running: Handlers, client: HandlerClient
) -> None:
    answer = await client.run(running.job("command", "complains"), 20)
    assert answer == Answer("retry", "exit code 75: the token=***")
    messages = [line["message"] for line in running.lines()]
    assert [line for line in messages if line.startswith("[command] complains: ")] == [
        "[command] complains: one",
        "[command] complains: \\x1b[31mtwo",
        "[command] complains: the token=***",
    ]


async def test_storm_on_standard_error_is_cut_in_the_log(
    running: Handlers, client: HandlerClient
) -> None:
    answer = await client.run(running.job("command", "storms"), 20)
    assert answer == Answer("completed", "made:chain/con/storms")
    messages = [line["message"] for line in running.lines()]
    lines = [line for line in messages if line.startswith("[command] storms: ")]
    assert sum(len(line) for line in lines) < 4 * MAX_LOGGED
    assert lines[-1] == "[command] storms: the rest of its output is left out"


async def test_program_that_can_not_be_started_is_named(handlers: Handlers) -> None:
    program = handlers.path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    handlers.start(f'[gone]\nhandler = "command"\nargv = ["{program}"]\n')
    async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
        assert (await client.run(handlers.job("gone", "there"), 20)).outcome == "completed"
        program.unlink()
        assert await client.run(handlers.job("gone", "x"), 20) == Answer(
            "retry", f"exit code 127: {program} can't be started: No such file or directory"
        )
