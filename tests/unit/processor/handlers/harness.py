"""The handlers' process, the real one, with handlers of every sort in it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow_backend.processor.handlers.job import Job

COMMAND = Path(sys.executable).with_name("workflow-backend")

MODULE = """
import asyncio, os, subprocess, time
from datetime import timedelta
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

class Mute(Exception):
    def __str__(self): raise RuntimeError("no text")

class Base(BaseException):
    pass

def odd(name: str) -> object:
    match name:
        case "cancelled": raise asyncio.CancelledError
        case "base": raise Base("of my own")
        case "mute": raise Mute
        case "exit": raise SystemExit(3)
        case "interrupt": raise KeyboardInterrupt
        case "soon": raise Retry("later", after="soon")
        case "delta": raise Retry("later", after=timedelta(minutes=2))
        case "huge": raise Retry("later", after=10**400)
        case "nan": raise Retry("later", after=float("nan"))
        case "fail": raise Fail("F" * 100_000)
        case "secret": raise OSError("no answer from https://me:pass@host/x?key=hidden")
    return f"by:{os.getpid()}"

def odd_sync(job: Job) -> object:
    if job.item["item_id"] == "talks":
        job.progress("P" * 100_000)
        for number in range(10_000): job.progress(f"step {number}")
    return odd(job.item["item_id"])

async def odd_async(job: Job) -> object:
    if job.item["item_id"] == "deaf":
        job.progress("deaf")
        while True:
            try: await asyncio.sleep(60)
            except asyncio.CancelledError: pass
    if job.item["item_id"].startswith("patient"):
        await asyncio.sleep(3.5)
    return odd(job.item["item_id"])

def daemon(job: Job) -> None:
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    Path(job.item["payload_uri"]).write_text(str(child.pid))
    if job.item["item_id"] != "returns": time.sleep(60)
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
    case "daemon":  # a session of its own, and our standard output and error
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        open(job["item"]["payload_uri"], "w").write(str(child.pid))
    case "daemons":
        leaves = ["sh", "-c", "sleep 60 & echo $! > $0; wait", job["item"]["payload_uri"]]
        subprocess.Popen(leaves, start_new_session=True)
        time.sleep(60)
    case "steps":
        print(json.dumps({"progress": "P" * 100_000}), flush=True)
        for number in range(4000): print(json.dumps({"progress": f"step {number}"}), flush=True)
    case "complains":
        print("one\\n\\x1b[31mtwo\\nthe token=hidden", file=sys.stderr); sys.exit(75)
    case "storms":
        for number in range(20_000): print(f"line {number}", file=sys.stderr)
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

    def lines(self) -> list[dict[str, str]]:
        """What the log says, each line as the object that it is."""
        return [json.loads(line) for line in (self.path / "log").read_text().splitlines()]

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
[odd]
handler = "python"
function = "hands:odd_sync"
[odd-async]
handler = "python"
function = "hands:odd_async"
timeout_seconds = 6
[impatient]
handler = "python"
function = "hands:odd_async"
timeout_seconds = 1
[daemon]
handler = "python"
function = "hands:daemon"
timeout_seconds = 2
[deaf]
handler = "python"
function = "hands:deaf"
timeout_seconds = 1
"""


async def until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    # The file is gone, or it can't be read any more: the process may end between the two.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
