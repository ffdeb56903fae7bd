"""The handlers' process, the real one, as a processor sees it over its socket."""

import asyncio
import grp
import os
import signal
import socket
import stat
import time

import pytest

from workflow_backend.processor import handler_client
from workflow_backend.processor.handler_client import HandlerClient, HandlersAway, NoHandler
from workflow_backend.processor.handlers.job import Answer

from .harness import BRIEF, Handlers, is_alive, until


async def test_each_handler_answers_side_by_side_on_one_connection(
    running: Handlers, client: HandlerClient
) -> None:
    jobs = [running.job(kind, f"{kind}-{n}") for kind in ("job", "sync") for n in range(20)]
    jobs += [running.job("command", "one"), running.job("slow", "x", str(running.path / "x"))]
    answers = await asyncio.gather(*(client.run(job, 20) for job in jobs))
    assert {answer.outcome for answer in answers} == {"completed"}
    assert answers[0].text == "p"
    assert answers[20].text == "done:sync-0:4:1:chain/con/sync-0"
    assert answers[40].text == "made:chain/con/one"
    assert answers[41].text == "in time"
    assert "half way" in running.progress
    assert b"a word for the log" in (running.path / "log").read_bytes()


@pytest.mark.parametrize(
    ("kind", "item_id", "expected"),
    [
        ("choose", "fail", Answer("failed", "no such customer")),
        ("choose", "later", Answer("retry", "not yet", 7.0)),
        ("choose", "fault", Answer("retry", "KeyError: 'x'")),
        ("choose", "gone", Answer("retry", "the handler's process ended with code 3")),
        ("choose", "nothing", Answer("completed", "")),
        ("choose", "wrong", Answer("failed", "the handler's result_uri is not a text")),
        ("command", "fail", Answer("failed", "exit code 65: bad item")),
        ("command", "again", Answer("retry", "exit code 75: not now")),
        ("command", "signal", Answer("retry", "ended by SIGTERM")),
        ("command", "silent", Answer("completed", "")),
        ("command", "noise", Answer("completed", "")),
        ("command", "told", Answer("completed", "")),
        ("command", "number", Answer("failed", "the handler's result_uri is not a text")),
        ("command", "much", Answer("failed", "it wrote more than 65536 bytes")),
    ],
)
async def test_what_a_handler_does_decides(
    running: Handlers, client: HandlerClient, kind: str, item_id: str, expected: Answer
) -> None:
    assert await client.run(running.job(kind, item_id), 20) == expected
    # Whatever happened, the next job of the kind is done.
    assert (await client.run(running.job(kind, "next"), 20)).outcome == "completed"


async def test_a_result_that_the_contract_would_refuse_fails(
    running: Handlers, client: HandlerClient
) -> None:
    answer = await client.run(running.job("choose", "long"), 20)
    assert answer.outcome == "failed"
    assert "1024" in answer.text


async def test_progress_of_a_command_is_reported(running: Handlers, client: HandlerClient) -> None:
    await client.run(running.job("command", "progress"), 20)
    assert running.progress == ["first half"]


@pytest.mark.parametrize("kind", ["command", "choose"])
async def test_a_handler_sees_none_of_our_settings(
    running: Handlers, client: HandlerClient, kind: str
) -> None:
    names = (await client.run(running.job(kind, "environment"), 20)).text.split()
    assert "DATABASE" in names
    assert not [name for name in names if name.startswith("XIAN_")]


async def test_a_timeout_kills_the_whole_group(running: Handlers, client: HandlerClient) -> None:
    file = running.path / "pid"
    answer = await client.run(running.job("brief", "tree", str(file)), 20)
    assert answer == Answer("retry", "it took longer than 4 s")
    assert not is_alive(int(file.read_text()))


async def test_what_a_command_leaves_behind_is_killed(
    running: Handlers, client: HandlerClient
) -> None:
    file = running.path / "pid"
    answer = await client.run(running.job("brief", "orphan", str(file)), 20)
    assert answer.outcome == "completed"
    await until(lambda: not is_alive(int(file.read_text())), "the end of what was left behind")


async def test_a_timeout_ends_functions_that_listen_and_those_that_do_not(
    running: Handlers, client: HandlerClient
) -> None:
    late, deaf = running.path / "late", running.path / "deaf"
    answers = await asyncio.gather(
        client.run(running.job("slow", "late", str(late)), 20),
        client.run(running.job("deaf", "x", str(deaf)), 20),
    )
    assert list(answers) == [Answer("retry", "it took longer than 1 s")] * 2
    assert late.read_text() == "ended"
    assert not is_alive(int(deaf.read_text()))


async def test_a_cancelled_try_is_ended(running: Handlers, client: HandlerClient) -> None:
    file = running.path / "pid"
    trying = asyncio.create_task(client.run(running.job("command", "tree", str(file)), 20))
    await until(lambda: file.exists() and file.read_text(), "the command")
    trying.cancel()
    await until(lambda: not is_alive(int(file.read_text())), "the end of the command")


async def test_a_processor_that_goes_leaves_nothing_running(handlers: Handlers) -> None:
    handlers.start(BRIEF)
    file = handlers.path / "pid"
    async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
        trying = asyncio.create_task(client.run(handlers.job("command", "tree", str(file)), 20))
        await until(lambda: file.exists() and file.read_text(), "the command")
    await until(lambda: not is_alive(int(file.read_text())), "the end of the command")
    trying.cancel()


async def test_a_kill_of_the_process_fails_the_try_and_no_more(handlers: Handlers) -> None:
    handlers.start(BRIEF)
    file = handlers.path / "pid"
    async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
        trying = asyncio.create_task(client.run(handlers.job("command", "tree", str(file)), 20))
        await until(lambda: file.exists() and file.read_text(), "the command")
        handlers.end(signal.SIGKILL)
        assert (await trying).outcome == "retry"
        with pytest.raises(HandlersAway, match=r"has ended|no connection"):
            await client.run(handlers.job("job", "early"), 0.1)
        waiting = asyncio.create_task(client.run(handlers.job("job", "waits"), 20))
        handlers.start('[job]\nhandler = "echo"\n')
        assert (await waiting).outcome == "completed"
        with pytest.raises(NoHandler):
            await client.run(handlers.job("command", "x"), 20)


async def test_a_stop_lets_what_runs_end_and_does_not_count_the_rest_as_tries(
    handlers: Handlers,
) -> None:
    handlers.start(BRIEF)
    file = handlers.path / "pid"
    async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
        long = asyncio.create_task(client.run(handlers.job("command", "tree", str(file)), 20))
        await until(lambda: file.exists() and file.read_text(), "the command")
        assert await asyncio.to_thread(handlers.end, signal.SIGTERM) == 0
        assert (await long).outcome == "interrupted"
    assert not is_alive(int(file.read_text()))
    assert not handlers.socket.exists()


async def test_a_process_that_hangs_is_noticed(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler_client, "PING_SECONDS", 0.1)
    handlers.start('[job]\nhandler = "echo"\n')
    assert handlers.process is not None
    async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
        await client.run(handlers.job("job", "y"), 20)
        handlers.process.send_signal(signal.SIGSTOP)
        await until(lambda: "has not answered" in client.problem, "the problem")
        assert not client.connected
        handlers.process.send_signal(signal.SIGCONT)
        assert (await client.run(handlers.job("job", "z"), 20)).outcome == "completed"


async def test_a_processor_that_was_frozen_itself_keeps_its_runs(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler_client, "PING_SECONDS", 0.1)
    handlers.start('[job]\nhandler = "command"\nargv = ["sleep", "3"]\n')
    async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
        run = asyncio.create_task(client.run(handlers.job("job", "y"), 20))
        await until(lambda: client.connected, "the connection")
        for _ in range(3):
            await asyncio.sleep(0.15)  # a ping or two are on their way
            time.sleep(0.6)  # noqa: ASYNC251 - this stops the whole loop, as a freezer does
        assert (await run).outcome == "completed"


class TestStart:
    """What is wrong is one line, before anything is served."""

    @pytest.mark.parametrize(
        ("text", "environment", "message"),
        [
            ("[job]\n", {}, "[job] handler is missing"),
            (
                '[job]\nhandler = "python"\nfunction = "hands:none"\n',
                {},
                "[job]: hands:none can't be loaded: AttributeError",
            ),
            (
                '[job]\nhandler = "http"\nurl = "http://x/"\ntoken_file = "none"\n',
                {},
                "[job]: the token file none can't be read",
            ),
            (BRIEF, {"XIAN_WALLET_PRIVATE_KEY": "a" * 64}, "was given a wallet's key"),
            (BRIEF, {"XIAN_WORKFLOW_WALLET_KEY_FILE": "k"}, "was given a wallet's key"),
            (BRIEF, {"XIAN_WORKFLOW_HANDLERS_GROUP": "no-such-group"}, "no group no-such-group"),
            (BRIEF, {"XIAN_WORKFLOW_HANDLERS_SOCKET": "/" + "s" * 101}, "at most 100 bytes"),
            (BRIEF, {"XIAN_WORKFLOW_HANDLERS": ""}, "XIAN_WORKFLOW_HANDLERS is not set"),
        ],
    )
    def test_refusals(
        self, handlers: Handlers, text: str, environment: dict[str, str], message: str
    ) -> None:
        handlers.environment = environment
        handlers.start(text)
        assert handlers.process is not None
        assert handlers.process.wait(20) == 1
        (line,) = (handlers.path / "log").read_text().splitlines()
        assert message in line
        assert "a" * 64 not in line

    async def test_a_second_process_on_the_same_socket_is_refused(self, handlers: Handlers) -> None:
        handlers.start(BRIEF)
        async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
            await client.run(handlers.job("job", "x"), 20)
            second = Handlers(handlers.path)
            second.start(BRIEF)
            assert second.process is not None
            assert await asyncio.to_thread(second.process.wait, 20) == 1
            assert "another process listens" in (handlers.path / "log").read_text()
            assert (await client.run(handlers.job("job", "y"), 20)).outcome == "completed"

    async def test_only_its_own_account_may_connect(
        self, running: Handlers, client: HandlerClient
    ) -> None:
        await client.run(running.job("job", "x"), 20)
        assert stat.S_IMODE(running.socket.stat().st_mode) == 0o600

    async def test_or_a_group(self, handlers: Handlers) -> None:
        group = grp.getgrgid(os.getgid())
        handlers.environment = {"XIAN_WORKFLOW_HANDLERS_GROUP": group.gr_name}
        handlers.start(BRIEF)
        async with HandlerClient(handlers.socket, asyncio.Event()).running() as client:
            await client.run(handlers.job("job", "x"), 20)
        status = handlers.socket.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, group.gr_gid)

    async def test_the_service_manager_is_notified(self, handlers: Handlers) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(handlers.path / "notify"))
            manager.settimeout(20)
            handlers.environment = {"NOTIFY_SOCKET": str(handlers.path / "notify")}
            handlers.start(BRIEF)
            lines: list[str] = []
            while "READY=1" not in lines or "WATCHDOG=1" not in lines:
                lines += (await asyncio.to_thread(manager.recv, 4096)).decode().split("\n")
            assert handlers.socket.exists()
            assert await asyncio.to_thread(handlers.end, signal.SIGTERM) == 0
            while "STOPPING=1" not in lines:
                lines += (await asyncio.to_thread(manager.recv, 4096)).decode().split("\n")


async def test_a_service_of_which_a_part_failed_ends(handlers: Handlers) -> None:
    """The heartbeat is dead: the process would look hung, and go on for ever."""
    (handlers.path / "sitecustomize.py").write_text(
        "from workflow_backend.heartbeat import Heartbeat\n"
        "async def fail(self): raise KeyError('a fault of ours')\n"
        "Heartbeat._run = fail\n"
    )
    handlers.environment = {"PYTHONPATH": str(handlers.path)}
    handlers.start(BRIEF)
    assert handlers.process is not None
    assert await asyncio.to_thread(handlers.process.wait, 20) == 1
    assert "restarts the service" in handlers.lines()[-1]["message"]
    assert not handlers.socket.exists()
