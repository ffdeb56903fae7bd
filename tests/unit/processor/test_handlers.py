"""The handlers' process, the real one, as a processor sees it over its socket."""

import asyncio
import contextlib
import grp
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from workflow_backend.processor import remote as remote_module
from workflow_backend.processor.handlers.http import retry_after
from workflow_backend.processor.handlers.job import Answer, Job
from workflow_backend.processor.remote import HandlersAway, NoHandler, Remote

COMMAND = Path(sys.executable).with_name("workflow-backend")

MODULE = """
import asyncio, os, time
from pathlib import Path
from workflow_backend.processor.handlers import Fail, Job, Retry

def sync(job: Job) -> str:
    print("a word for the log")
    job.progress("half way")
    return f"done:{job.item['item_id']}:{job.attempt}:{job.number}:{job.idempotency_key}"

async def slow(job: Job) -> dict:
    Path(job.item["payload_uri"]).write_text(str(os.getpid()))
    try:
        await asyncio.sleep(60 if job.item["item_id"] == "late" else 0)
    finally:
        Path(job.item["payload_uri"]).write_text("ended")
    return {"result_uri": "in time"}

def deaf(job: Job) -> None:
    Path(job.item["payload_uri"]).write_text(str(os.getpid()))
    time.sleep(60)

def choose(job: Job) -> object:
    match job.item["item_id"]:
        case "fail": raise Fail("no such customer")
        case "later": raise Retry("not yet", after=7)
        case "fault": raise KeyError("x")
        case "gone": os._exit(3)
        case "nothing": return None
        case "wrong": return 5
        case "long": return "x" * 1025
        case "environment": return " ".join(sorted(os.environ))
    return "chosen"
"""

# What a command finds: the job on standard input, and nothing else that is ours.
SCRIPT = """
import json, os, subprocess, sys, time
job = json.load(sys.stdin)
match job["item"]["item_id"]:
    case "progress": print(json.dumps({"progress": "first half"}), flush=True)
    case "fail": print("bad item", file=sys.stderr); sys.exit(65)
    case "again": print("not now", file=sys.stderr); sys.exit(75)
    case "signal": os.kill(os.getpid(), 15)
    case "silent": sys.exit(0)
    case "noise": print("hello"); sys.exit(0)
    case "told": print(json.dumps({"progress": "all of it"})); sys.exit(0)
    case "number": print(json.dumps({"result_uri": 5})); sys.exit(0)
    case "much": print("x" * 100_000, flush=True); time.sleep(60)
    case "environment": print(json.dumps({"result_uri": " ".join(sorted(os.environ))})); sys.exit(0)
    case "tree":
        child = subprocess.Popen(["sleep", "60"])
        open(job["item"]["payload_uri"], "w").write(str(child.pid)); time.sleep(60)
    case "orphan":
        child = subprocess.Popen(["sleep", "60"])
        open(job["item"]["payload_uri"], "w").write(str(child.pid))
print(json.dumps({"result_uri": "made:" + job["idempotency_key"]}))
"""


@dataclass
class Handlers:
    """The process, its folder and a connection to it."""

    path: Path
    process: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    progress: list[str] = field(default_factory=list)

    def start(self, text: str) -> None:
        (self.path / "handlers.toml").write_text(text)
        (self.path / "hands.py").write_text(MODULE)
        (self.path / "command.py").write_text(SCRIPT)
        with (self.path / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [COMMAND, "handlers"],
                cwd=self.path,
                env={
                    "PATH": os.environ["PATH"],
                    "DATABASE": "mine",
                    "XIAN_WORKFLOW_HANDLERS": str(self.path / "handlers.toml"),
                    "XIAN_WORKFLOW_STATE_DIR": str(self.path),
                    "XIAN_WORKFLOW_DRAIN_SECONDS": "1",
                    **self.environment,
                },
                stdout=log,
                stderr=log,
            )

    @property
    def socket(self) -> Path:
        return self.path / "handlers.sock"

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def job(self, kind: str, item_id: str, payload: str = "p", number: int = 1) -> Job:
        item = {"item_id": item_id, "kind": kind, "payload_uri": payload}
        return Job(item, 4, number, f"chain/con/{item_id}", self.progress.append)


BRIEF = f"""
[job]
handler = "echo"
[command]
handler = "command"
argv = ["{sys.executable}", "command.py"]
timeout_seconds = 30
"""

FILE = f"""{BRIEF}
[brief]
handler = "command"
argv = ["{sys.executable}", "command.py"]
timeout_seconds = 4
[sync]
handler = "python"
function = "hands:sync"
[choose]
handler = "python"
function = "hands:choose"
[slow]
handler = "python"
function = "hands:slow"
timeout_seconds = 1
[deaf]
handler = "python"
function = "hands:deaf"
timeout_seconds = 1
"""


def ended(handlers: Handlers) -> None:
    if handlers.process is not None and handlers.process.poll() is None:
        handlers.process.kill()
        handlers.process.wait(20)


@pytest.fixture
def handlers(tmp_path: Path) -> Iterator[Handlers]:
    """A process that a test starts and ends as it likes."""
    handlers = Handlers(tmp_path)
    yield handlers
    ended(handlers)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handlers]:
    """A process with every handler of the file, for tests that leave it alone."""
    handlers = Handlers(tmp_path_factory.mktemp("handlers"))
    handlers.start(FILE)
    yield handlers
    ended(handlers)


@pytest.fixture
async def remote(running: Handlers) -> AsyncIterator[Remote]:
    """A connection to the process with every handler of the file."""
    running.progress.clear()
    async with Remote(running.socket).running() as remote:
        yield remote


async def until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_each_handler_answers_side_by_side_on_one_connection(
    running: Handlers, remote: Remote
) -> None:
    jobs = [running.job(kind, f"{kind}-{n}") for kind in ("job", "sync") for n in range(20)]
    jobs += [running.job("command", "one"), running.job("slow", "x", str(running.path / "x"))]
    answers = await asyncio.gather(*(remote.run(job, 20) for job in jobs))
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
        ("choose", "wrong", Answer("failed", "the handler's result_uri is no text")),
        ("command", "fail", Answer("failed", "exit code 65: bad item")),
        ("command", "again", Answer("retry", "exit code 75: not now")),
        ("command", "signal", Answer("retry", "ended by SIGTERM")),
        ("command", "silent", Answer("completed", "")),
        ("command", "noise", Answer("completed", "")),
        ("command", "told", Answer("completed", "")),
        ("command", "number", Answer("failed", "the handler's result_uri is no text")),
        ("command", "much", Answer("failed", "it wrote more than 65536 bytes")),
    ],
)
async def test_what_a_handler_does_decides(
    running: Handlers, remote: Remote, kind: str, item_id: str, expected: Answer
) -> None:
    assert await remote.run(running.job(kind, item_id), 20) == expected
    # Whatever happened, the next job of the kind is done.
    assert (await remote.run(running.job(kind, "next"), 20)).outcome == "completed"


async def test_a_result_that_the_contract_would_refuse_fails(
    running: Handlers, remote: Remote
) -> None:
    answer = await remote.run(running.job("choose", "long"), 20)
    assert answer.outcome == "failed"
    assert "1024" in answer.text


async def test_progress_of_a_command_is_told(running: Handlers, remote: Remote) -> None:
    await remote.run(running.job("command", "progress"), 20)
    assert running.progress == ["first half"]


@pytest.mark.parametrize("kind", ["command", "choose"])
async def test_a_handler_sees_none_of_our_settings(
    running: Handlers, remote: Remote, kind: str
) -> None:
    names = (await remote.run(running.job(kind, "environment"), 20)).text.split()
    assert "DATABASE" in names
    assert not [name for name in names if name.startswith("XIAN_")]


async def test_a_timeout_kills_the_whole_group(running: Handlers, remote: Remote) -> None:
    file = running.path / "pid"
    answer = await remote.run(running.job("brief", "tree", str(file)), 20)
    assert answer == Answer("retry", "it took longer than 4 s")
    assert not is_alive(int(file.read_text()))


async def test_what_a_command_leaves_behind_is_killed(running: Handlers, remote: Remote) -> None:
    file = running.path / "pid"
    answer = await remote.run(running.job("brief", "orphan", str(file)), 20)
    assert answer.outcome == "completed"
    await until(lambda: not is_alive(int(file.read_text())), "the end of what was left behind")


async def test_a_timeout_ends_functions_that_listen_and_those_that_do_not(
    running: Handlers, remote: Remote
) -> None:
    late, deaf = running.path / "late", running.path / "deaf"
    answers = await asyncio.gather(
        remote.run(running.job("slow", "late", str(late)), 20),
        remote.run(running.job("deaf", "x", str(deaf)), 20),
    )
    assert list(answers) == [Answer("retry", "it took longer than 1 s")] * 2
    assert late.read_text() == "ended"
    assert not is_alive(int(deaf.read_text()))


async def test_a_cancelled_try_is_ended(running: Handlers, remote: Remote) -> None:
    file = running.path / "pid"
    trying = asyncio.create_task(remote.run(running.job("command", "tree", str(file)), 20))
    await until(lambda: file.exists() and file.read_text(), "the command")
    trying.cancel()
    await until(lambda: not is_alive(int(file.read_text())), "the end of the command")


async def test_a_processor_that_goes_leaves_nothing_running(handlers: Handlers) -> None:
    handlers.start(BRIEF)
    file = handlers.path / "pid"
    async with Remote(handlers.socket).running() as remote:
        trying = asyncio.create_task(remote.run(handlers.job("command", "tree", str(file)), 20))
        await until(lambda: file.exists() and file.read_text(), "the command")
    await until(lambda: not is_alive(int(file.read_text())), "the end of the command")
    trying.cancel()


async def test_a_kill_of_the_process_fails_the_try_and_no_more(handlers: Handlers) -> None:
    handlers.start(BRIEF)
    file = handlers.path / "pid"
    async with Remote(handlers.socket).running() as remote:
        trying = asyncio.create_task(remote.run(handlers.job("command", "tree", str(file)), 20))
        await until(lambda: file.exists() and file.read_text(), "the command")
        handlers.end(signal.SIGKILL)
        assert (await trying).outcome == "retry"
        with pytest.raises(HandlersAway, match=r"has ended|no connection"):
            await remote.run(handlers.job("job", "early"), 0.1)
        waiting = asyncio.create_task(remote.run(handlers.job("job", "waits"), 20))
        handlers.start('[job]\nhandler = "echo"\n')
        assert (await waiting).outcome == "completed"
        with pytest.raises(NoHandler):
            await remote.run(handlers.job("command", "x"), 20)


async def test_a_stop_lets_what_runs_end_and_does_not_count_the_rest_as_tries(
    handlers: Handlers,
) -> None:
    handlers.start(BRIEF)
    file = handlers.path / "pid"
    async with Remote(handlers.socket).running() as remote:
        long = asyncio.create_task(remote.run(handlers.job("command", "tree", str(file)), 20))
        await until(lambda: file.exists() and file.read_text(), "the command")
        assert await asyncio.to_thread(handlers.end, signal.SIGTERM) == 0
        assert (await long).outcome == "interrupted"
    assert not is_alive(int(file.read_text()))
    assert not handlers.socket.exists()


async def test_a_process_that_hangs_is_noticed(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_module, "PING_SECONDS", 0.1)
    handlers.start('[job]\nhandler = "echo"\n')
    assert handlers.process is not None
    async with Remote(handlers.socket).running() as remote:
        await remote.run(handlers.job("job", "y"), 20)
        handlers.process.send_signal(signal.SIGSTOP)
        await until(lambda: "has not answered" in remote.problem, "the problem")
        assert not remote.connected
        handlers.process.send_signal(signal.SIGCONT)
        assert (await remote.run(handlers.job("job", "z"), 20)).outcome == "completed"


async def test_a_processor_that_was_frozen_itself_keeps_its_runs(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_module, "PING_SECONDS", 0.1)
    handlers.start('[job]\nhandler = "command"\nargv = ["sleep", "3"]\n')
    async with Remote(handlers.socket).running() as remote:
        run = asyncio.create_task(remote.run(handlers.job("job", "y"), 20))
        await until(lambda: remote.connected, "the connection")
        for _ in range(3):
            await asyncio.sleep(0.15)  # a ping or two are on their way
            time.sleep(0.6)  # noqa: ASYNC251 - this stops the whole loop, as a freezer does
        assert (await run).outcome == "completed"


class TestStart:
    """What is wrong is one line, before anything is served."""

    @pytest.mark.parametrize(
        ("text", "environment", "said"),
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
        self, handlers: Handlers, text: str, environment: dict[str, str], said: str
    ) -> None:
        handlers.environment = environment
        handlers.start(text)
        assert handlers.process is not None
        assert handlers.process.wait(20) == 1
        (line,) = (handlers.path / "log").read_text().splitlines()
        assert said in line
        assert "a" * 64 not in line

    async def test_a_second_process_on_the_same_socket_is_refused(self, handlers: Handlers) -> None:
        handlers.start(BRIEF)
        async with Remote(handlers.socket).running() as remote:
            await remote.run(handlers.job("job", "x"), 20)
            second = Handlers(handlers.path)
            second.start(BRIEF)
            assert second.process is not None
            assert await asyncio.to_thread(second.process.wait, 20) == 1
            assert "another process listens" in (handlers.path / "log").read_text()
            assert (await remote.run(handlers.job("job", "y"), 20)).outcome == "completed"

    async def test_only_its_own_account_may_connect(
        self, running: Handlers, remote: Remote
    ) -> None:
        await remote.run(running.job("job", "x"), 20)
        assert stat.S_IMODE(running.socket.stat().st_mode) == 0o600

    async def test_or_a_group(self, handlers: Handlers) -> None:
        group = grp.getgrgid(os.getgid())
        handlers.environment = {"XIAN_WORKFLOW_HANDLERS_GROUP": group.gr_name}
        handlers.start(BRIEF)
        async with Remote(handlers.socket).running() as remote:
            await remote.run(handlers.job("job", "x"), 20)
        status = handlers.socket.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, group.gr_gid)

    async def test_the_service_manager_is_told(self, handlers: Handlers) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(handlers.path / "notify"))
            manager.settimeout(20)
            handlers.environment = {"NOTIFY_SOCKET": str(handlers.path / "notify")}
            handlers.start(BRIEF)
            told: list[str] = []
            while "READY=1" not in told or "WATCHDOG=1" not in told:
                told += (await asyncio.to_thread(manager.recv, 4096)).decode().split("\n")
            assert handlers.socket.exists()
            assert await asyncio.to_thread(handlers.end, signal.SIGTERM) == 0
            while "STOPPING=1" not in told:
                told += (await asyncio.to_thread(manager.recv, 4096)).decode().split("\n")


@contextlib.asynccontextmanager
async def service(answers: list[web.Response]) -> AsyncIterator[tuple[str, list[Any]]]:
    """A service that gives these answers in turn, and notes what it was asked."""
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((dict(request.headers), await request.json()))
        return answers[len(asked) - 1]

    app = web.Application()
    app.router.add_post("/do", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert isinstance(site._server, asyncio.Server)
    port = site._server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/do", asked
    finally:
        await runner.cleanup()


class TestHttp:
    async def test_the_status_decides(self, handlers: Handlers) -> None:
        cases = [
            (web.json_response({"result_uri": "https://r"}), Answer("completed", "https://r")),
            (web.Response(status=204), Answer("completed", "")),
            (web.Response(status=202), Answer("completed", "")),
            (web.Response(text="<html>"), Answer("completed", "")),
            (web.json_response({"ok": True}), Answer("completed", "")),
            (web.json_response(["done"]), Answer("completed", "")),
            (
                web.json_response({"result_uri": 5}),
                Answer("failed", "the handler's result_uri is no text"),
            ),
            (web.Response(status=404), Answer("failed", "the service answered 404")),
            (
                web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
                Answer("failed", "the service answered 302"),
            ),
            (
                web.Response(status=429, headers={"Retry-After": "9"}),
                Answer("retry", "the service answered 429", 9.0),
            ),
            (web.Response(status=503), Answer("retry", "the service answered 503")),
        ]
        (handlers.path / "token").write_text("secret\n")
        async with service([response for response, _ in cases]) as (url, asked):
            handlers.start(
                f'[web]\nhandler = "http"\nurl = "{url}"\ntoken_file = "token"\n'
                '[away]\nhandler = "http"\nurl = "http://127.0.0.1:1/"\n'
            )
            async with Remote(handlers.socket).running() as remote:
                for _, expected in cases:
                    assert await remote.run(handlers.job("web", "w", number=2), 20) == expected
                away = await remote.run(handlers.job("away", "a"), 20)
                assert (away.outcome, away.text[:26]) == ("retry", "no answer from the service")
        headers, body = asked[0]
        assert headers["Idempotency-Key"] == body["idempotency_key"] == "chain/con/w"
        assert headers["Authorization"] == "Bearer secret"
        assert (body["item"]["item_id"], body["attempt"], body["try"]) == ("w", 4, 2)

    def test_retry_after_may_be_a_date(self) -> None:
        now = 1_700_000_000.0  # 2023-11-14 22:13:20
        assert retry_after("Tue, 14 Nov 2023 22:13:50 GMT", now) == 30.0
        assert retry_after("Tue, 14 Nov 2023 22:13:00 GMT", now) == 0.0
        assert retry_after("soon", now) is None
        assert retry_after(None, now) is None
