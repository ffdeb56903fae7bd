"""Two workers, a requester and the handlers' module, on a contract of their own.

Items are submitted and read by the tests themselves; neither API nor projector is needed.
"""

import asyncio
import contextlib
import json
import signal
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node_harness import Node
from xian_py import Wallet

from workflow_backend.chain import contract
from workflow_backend.chain.block_subscription import BlockSubscription
from workflow_backend.chain.node import Node as Reader
from workflow_backend.chain.rpc import Rpc
from workflow_backend.chain.submitter import Submitter
from workflow_backend.chain.wallet import Account
from workflow_backend.errors import NodeUnavailable
from workflow_backend.items import FINAL_STATUSES, Item

from ..stack import Stack, eventually

# Notes each run in a file of the item, then does as the item's payload says.
MODULE = """
import os, time
from pathlib import Path
from workflow_backend.processor.handlers import Fail, Job, Retry

RUNS = Path(__file__).parent / "runs"

def work(job: Job) -> str:
    RUNS.mkdir(exist_ok=True)
    with (RUNS / job.item["item_id"]).open("a") as runs:
        runs.write(f"{job.idempotency_key} {job.attempt} {job.number} {os.getpid()}\\n")
    match job.item["payload_uri"].split(":"):
        case ["sleep", seconds]: time.sleep(float(seconds))
        case ["until", path]:
            while not Path(path).exists(): time.sleep(0.02)
        case ["twice"] if job.number < 2: raise Retry("not yet")
        case ["never"]: raise Retry("not t\\u00f6day")
        case ["hour"]: raise Retry("busy", after=3600)
        case ["fail"]: raise Fail("no such customer")
    return f"done:{job.number}"
"""

FILE = """
[job]
handler = "echo"
[work]
handler = "python"
function = "hands:work"
concurrency = 20
[work.retry]
tries = 3
first_seconds = 0.1
[stubborn]
handler = "python"
function = "hands:work"
[stubborn.retry]
tries = 4
first_seconds = 3
longest_seconds = 3
"""


@dataclass
class Queue:
    """One contract, two workers on it, and a requester; `chain` is the node's process."""

    chain: Node
    node: Reader
    requester: Submitter
    workers: tuple[Stack, Stack]
    gates: list[Path] = field(default_factory=list)

    def gate(self) -> Path:
        """A file that a handler waits for; it is there when the test is over."""
        self.gates.append(self.workers[0].path / uuid.uuid4().hex)
        return self.gates[-1]

    async def submit(self, *ids: str, kind: str = "work", payload: str = "p") -> None:
        """Submit items; returns when they are in a block."""
        outcomes = await asyncio.gather(
            *(self.requester.submit(contract.submit(i, payload, kind, "")) for i in ids)
        )
        assert all(outcome.ok for outcome in outcomes), outcomes

    async def item(self, item_id: str) -> Item:
        item = await self.node.item(item_id)
        assert item is not None
        return item

    async def until(self, item_id: str, status: str, seconds: float = 40.0) -> Item:
        """Wait for an item's status and return the item."""

        async def there() -> Item | None:
            with contextlib.suppress(NodeUnavailable):  # a line that lay idle may be closed
                item = await self.item(item_id)
                return item if item.status == status else None
            return None

        return await eventually(there, f"{item_id} as {status}", seconds)

    async def all_settled(self, ids: list[str], seconds: float = 60.0) -> list[Item]:
        left = list(ids)

        async def settled() -> list[Item | None] | None:
            # One by one: reading all of them again and again would keep the node busy.
            while left and (await self.item(left[-1])).status in FINAL_STATUSES:
                left.pop()
            return None if left else await self.node.items(ids)

        items = await eventually(settled, f"{len(ids)} items", seconds)
        return [item for item in items if item is not None]


@contextlib.asynccontextmanager
async def requesting(chain: Node, name: str) -> AsyncIterator[tuple[Reader, Submitter]]:
    """A reader of a contract, and a requester with a wallet of its own."""
    async with Rpc(chain.url) as rpc:
        reader = Reader(rpc, name)
        account = Account(Wallet().private_key)
        submitter = Submitter(reader, BlockSubscription(rpc), account, chain.chain_id)
        async with submitter.running():
            yield reader, submitter


def runs(worker: Stack, item_id: str) -> list[list[str]]:
    """What the handler noted: idempotency key, attempt, try and process of each run."""
    with contextlib.suppress(FileNotFoundError):
        lines = (worker.path / "runs" / item_id).read_text().splitlines()
        return [line.split() for line in lines]
    return []


async def end(worker: Stack, service: str, number: signal.Signals) -> int:
    return await asyncio.to_thread(worker.end, service, number)


def seen(process: int | str, name: str) -> str:
    """A file of /proc about a process, empty where it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/{name}").read_text()
    return ""


def beat(worker: Stack) -> dict[str, Any]:
    """The last heartbeat of the processor that runs, {} before the first."""
    with contextlib.suppress(FileNotFoundError):
        content: dict[str, Any] = json.loads(
            (worker.path / "processor" / "processor.heartbeat.json").read_text()
        )
        if content["pid"] == worker.running["processor"].pid:  # and not one that was killed before
            return content
    return {}


def worker_of(node: Node, name: str, path: Path) -> Stack:
    stack = Stack(node.url, node.chain_id, name, path, handlers=FILE)
    stack.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "5"
    (path / "hands.py").write_text(MODULE)
    return stack


def fresh(number: int = 1) -> list[str]:
    """Ids that no other test uses."""
    return [f"i-{uuid.uuid4().hex[:16]}" for _ in range(number)]


async def holds(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    async def ask() -> Any:
        return condition()

    return await eventually(ask, what, seconds)


async def is_working(worker: Stack) -> None:
    """Wait until a processor is up and its handlers take jobs."""
    await holds(lambda: beat(worker).get("problem") == "", "a processor without a problem")


def journal_rows(worker: Stack, query: str, *values: str) -> list[Any]:
    """Rows of the journal of a processor that does not run; a change is kept."""
    path = worker.path / "processor" / "processor.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        return database.execute(query, values).fetchall()
