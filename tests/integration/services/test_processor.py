"""The processor on a real node: every item is done, by one worker, whoever dies in between.

Items are submitted and read by the tests themselves; neither API nor projector is needed.
"""

import asyncio
import contextlib
import json
import signal
import socket
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from node_harness import Node
from xian_py import Wallet

from workflow_backend.chain import contract
from workflow_backend.chain.heads import Heads
from workflow_backend.chain.node import Node as Reader
from workflow_backend.chain.rpc import Rpc
from workflow_backend.chain.submitter import Submitter
from workflow_backend.chain.wallet import Account
from workflow_backend.errors import NodeUnavailable
from workflow_backend.items import SETTLED, Item

from .proxy import FORWARD, LOSE_REQUEST, BadLine
from .stack import Stack, deploy, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
"""
SOON = "[web.retry]\nfirst_seconds = 0.1\n"


TAKEN = 1e12
"""When the journal has an item due that the processor has taken."""


@dataclass
class Queue:
    """One contract, two workers on it, and a requester."""

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
            while left and (await self.item(left[-1])).status in SETTLED:
                left.pop()
            return None if left else await self.node.items(ids)

        items = await eventually(settled, f"{len(ids)} items", seconds)
        return [item for item in items if item is not None]


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
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{process}/{name}").read_text()
    return ""


def beat(worker: Stack) -> dict[str, Any]:
    """The last heartbeat of the processor that runs, {} before the first."""
    with contextlib.suppress(FileNotFoundError):
        told: dict[str, Any] = json.loads(
            (worker.path / "processor" / "processor.heartbeat.json").read_text()
        )
        if told["pid"] == worker.running["processor"].pid:  # and not one that was killed before
            return told
    return {}


def worker_of(node: Node, name: str, path: Path) -> Stack:
    stack = Stack(node.url, node.chain_id, name, path, handlers=FILE)
    stack.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "5"
    (path / "hands.py").write_text(MODULE)
    return stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Queue]:
    name = f"con_{uuid.uuid4().hex[:12]}"
    first, second = (worker_of(node, name, tmp_path_factory.mktemp(w)) for w in ("one", "two"))
    await deploy(node, name, [first.worker, second.worker])
    async with Rpc(node.url) as rpc:
        reader = Reader(rpc, name)
        account = Account(Wallet().private_key)
        submitter = Submitter(reader, Heads(rpc), account, node.chain_id)
        async with submitter.running():
            yield Queue(reader, submitter, (first, second))


@pytest_asyncio.fixture(loop_scope="module")
async def queue(shared: Queue) -> AsyncIterator[Queue]:
    """The queue, with no worker running before and after."""
    yield shared
    for worker in shared.workers:
        worker.end_all()
    for gate in shared.gates:
        gate.touch()


@contextlib.asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    """A service of somebody else's, at its address."""
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


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


async def test_what_comes_of_an_item_is_what_its_handler_says(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("handlers", "processor")
    done, twice, never, fail, echo = fresh(5)
    await queue.submit(done)
    await queue.submit(twice, payload="twice")
    await queue.submit(never, payload="never")
    await queue.submit(fail, payload="fail")
    await queue.submit(echo, kind="job", payload="https://example.org/x")
    items = await queue.all_settled([done, twice, never, fail, echo])
    assert [item.status for item in items] == [
        "completed",
        "completed",
        "failed",
        "failed",
        "completed",
    ]
    assert items[0].result_uri == "done:1"
    assert items[1].result_uri == "done:2"
    assert items[2].failure_reason == "not t?day (given up after 3 tries)"
    assert items[3].failure_reason == "no such customer"
    assert items[4].result_uri == "https://example.org/x"
    # Three tries within one claim, with one key.
    assert {item.attempt for item in items} == {1}
    key = f"{worker.chain_id}/{worker.contract}/{never}"
    assert [run[:3] for run in runs(worker, never)] == [[key, "1", str(n)] for n in (1, 2, 3)]


async def test_a_service_is_left_alone_for_as_long_as_it_asks_and_the_item_is_kept(
    queue: Queue,
) -> None:
    asked: list[float] = []

    async def answer(_: web.Request) -> web.Response:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return web.Response(status=429, headers={"Retry-After": "7"})
        return web.json_response({"result_uri": "done:later"})

    first, second = queue.workers
    application = web.Application()
    application.router.add_post("/", answer)
    async with serving(application) as url:
        first.handlers = FILE + f'[web]\nhandler = "http"\nurl = "{url}"\n{SOON}'
        try:
            first.start("handlers", "processor")
            await is_working(first)
            (item_id,) = fresh()
            await queue.submit(item_id, kind="web")
            await queue.until(item_id, "processing")
            second.handlers = first.handlers
            second.start("handlers", "processor")
            item = await queue.until(item_id, "completed")
        finally:
            first.handlers = second.handlers = FILE
    # By itself it would have been tried again after 0.1 s. The lease of 5 s was renewed meanwhile.
    assert asked[1] - asked[0] >= 7.0
    assert (item.worker, item.attempt, item.result_uri) == (first.worker, 1, "done:later")
    assert len(asked) == 2


async def test_a_failed_item_that_is_retried_is_done_again(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("handlers", "processor")
    (item_id,) = fresh()
    await queue.submit(item_id, payload="fail")
    for attempt in range(1, 5):

        async def failed(attempt: int = attempt) -> Item | None:
            item = await queue.item(item_id)
            return item if (item.status, item.attempt) == ("failed", attempt) else None

        item = await eventually(failed, f"failure {attempt}")
        assert (await queue.requester.submit(contract.retry(item))).ok


async def test_a_kind_without_a_handler_waits_for_one_and_is_told_of(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("handlers", "processor")
    strange, known = fresh(2)
    await queue.submit(strange, kind="strange")
    await queue.submit(known)
    await queue.until(known, "completed")
    await holds(lambda: beat(worker).get("unhandled") == {"strange": 1}, "word of the kind")
    assert (await queue.item(strange)).status == "submitted"
    await end(worker, "handlers", signal.SIGTERM)
    worker.handlers = FILE + '[strange]\nhandler = "echo"\n'
    worker.start("handlers")
    await queue.until(strange, "completed")
    worker.handlers = FILE


async def test_without_handlers_nothing_is_claimed_and_with_them_nothing_is_lost(
    queue: Queue,
) -> None:
    worker = queue.workers[0]
    worker.start("processor")
    (item_id,) = fresh()
    await queue.submit(item_id)
    await holds(lambda: "handlers' process" in beat(worker).get("problem", ""), "the problem")
    assert (await queue.item(item_id)).status == "submitted"
    worker.start("handlers")
    assert (await queue.until(item_id, "completed")).attempt == 1
    await is_working(worker)


async def test_handlers_that_are_killed_cost_a_try_and_no_more(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "60"  # so long it waits for handlers to come back
    worker.start("handlers", "processor")
    (item_id,) = fresh()
    gate = queue.gate()
    await queue.submit(item_id, payload=f"until:{gate}")
    await holds(lambda: runs(worker, item_id), "the first run")
    await end(worker, "handlers", signal.SIGKILL)
    gate.touch()
    worker.start("handlers")
    item = await queue.until(item_id, "completed")
    assert (item.attempt, item.result_uri) == (1, "done:2")
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "5"


async def test_claimed_and_not_run_is_run_after_a_kill(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "60"
    worker.start("handlers", "processor")
    (warm, item_id) = fresh(2)
    await queue.submit(warm)
    await queue.until(warm, "completed")
    worker.running["handlers"].send_signal(signal.SIGSTOP)  # it takes jobs, and does none
    await queue.submit(item_id)
    await queue.until(item_id, "processing")
    await end(worker, "processor", signal.SIGKILL)
    await end(worker, "handlers", signal.SIGKILL)
    assert runs(worker, item_id) == []
    worker.start("handlers", "processor")
    assert (await queue.until(item_id, "completed")).attempt == 1
    assert len(runs(worker, item_id)) == 1
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "5"


async def test_a_claim_that_comes_into_a_block_after_a_kill_is_found_and_run(queue: Queue) -> None:
    worker = queue.workers[0]
    lost = BadLine(lambda _: LOSE_REQUEST)
    async with lost.to(worker.node_url) as line:
        worker.extra["XIAN_NODE_URL"] = line.url
        worker.start("handlers", "processor")
        (item_id,) = fresh()
        await queue.submit(item_id)
        await holds(lambda: line.broadcasts, "a claim on its way")
        await end(worker, "processor", signal.SIGKILL)
    del worker.extra["XIAN_NODE_URL"]
    journal = worker.path / "processor" / "processor.sqlite3"
    with contextlib.closing(sqlite3.connect(journal)) as database:
        (due,) = database.execute("SELECT due FROM open_items WHERE item_id = ?", (item_id,))
    assert due == (TAKEN,), "it was not written down before it was sent"
    assert (await queue.item(item_id)).status == "submitted"
    worker.start("processor")
    answer = await queue.node.rpc.write("broadcast_tx_sync", tx=line.broadcasts[0])
    assert answer["code"] == 0, answer
    assert (await queue.until(item_id, "completed")).attempt == 1
    assert len(runs(worker, item_id)) == 1


async def test_run_and_not_reported_is_reported_after_a_kill_and_not_run_again(
    queue: Queue,
) -> None:
    worker = queue.workers[0]
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "60"
    claim_only = BadLine(lambda number: FORWARD if number == 0 else LOSE_REQUEST)
    async with claim_only.to(worker.node_url) as line:
        worker.extra["XIAN_NODE_URL"] = line.url
        worker.start("handlers", "processor")
        (item_id,) = fresh()
        await queue.submit(item_id)
        await queue.until(item_id, "processing")
        await holds(lambda: len(line.broadcasts) > 1, "a report on its way")
        assert len(runs(worker, item_id)) == 1
        await end(worker, "processor", signal.SIGKILL)
    del worker.extra["XIAN_NODE_URL"]
    worker.start("processor")
    item = await queue.until(item_id, "completed")
    assert (item.attempt, item.result_uri) == (1, "done:1")
    assert len(runs(worker, item_id)) == 1
    worker.extra["XIAN_WORKFLOW_LEASE_SECONDS"] = "5"


async def test_a_lease_is_kept_by_the_living_and_passes_from_the_dead_on_an_idle_chain(
    queue: Queue,
) -> None:
    first, second = queue.workers
    first.start("handlers", "processor")
    (long, dead) = fresh(2)
    await queue.submit(long, payload="sleep:8")
    await queue.until(long, "processing")
    second.start("handlers", "processor")
    item = await queue.until(long, "completed")
    assert (item.attempt, item.worker) == (1, first.worker)

    await end(second, "processor", signal.SIGTERM)
    gate = queue.gate()
    await queue.submit(dead, payload=f"until:{gate}")
    await holds(lambda: runs(first, dead), "the first run")
    second.start("processor")
    since = time.monotonic()
    await end(first, "processor", signal.SIGKILL)
    await end(first, "handlers", signal.SIGKILL)
    gate.touch()
    item = await queue.until(dead, "completed")
    assert (item.attempt, item.worker) == (2, second.worker)
    assert len(runs(second, dead)) == 1
    assert runs(first, dead)[0][0] == runs(second, dead)[0][0], "one key for every worker"
    assert time.monotonic() - since > 4.0, "the lease had not passed"


async def test_a_worker_that_lost_its_lease_gives_up_and_reports_nothing(queue: Queue) -> None:
    first, second = queue.workers
    first.start("handlers", "processor")
    (item_id,) = fresh()
    await queue.submit(item_id, payload=f"until:{queue.gate()}")
    await holds(lambda: runs(first, item_id), "the first run")
    stopped = first.running["processor"]
    stopped.send_signal(signal.SIGSTOP)
    second.start("handlers", "processor")

    async def taken() -> Item | None:
        item = await queue.item(item_id)
        return item if item.worker == second.worker else None

    await eventually(taken, "a take-over", 40)
    ((*_, process),) = runs(first, item_id)
    stopped.send_signal(signal.SIGCONT)
    await holds(lambda: not seen(process, "stat"), "the end of the first run")
    item = await queue.item(item_id)
    assert (item.status, item.worker, item.attempt) == ("processing", second.worker, 2)


async def test_two_workers_share_a_queue_and_do_each_item_once(queue: Queue) -> None:
    for worker in queue.workers:
        worker.start("handlers", "processor")
    for worker in queue.workers:
        await is_working(worker)
    ids = fresh(200)
    # In portions: the workers come to know of each other, and find more than they can take.
    for start in range(0, len(ids), 50):
        await queue.submit(*ids[start : start + 50])
    items = await queue.all_settled(ids)
    assert {(item.status, item.attempt) for item in items} == {("completed", 1)}
    shares = Counter(str(item.worker) for item in items)
    assert set(shares) == {worker.worker for worker in queue.workers}
    assert min(shares.values()) >= 30, shares
    for item in items:
        done = [runs(worker, item.item_id) for worker in queue.workers]
        assert sorted(len(each) for each in done) == [0, 1]


async def test_a_stop_lets_what_runs_end_gives_the_rest_back_and_claims_no_more(
    queue: Queue,
) -> None:
    worker = queue.workers[0]
    worker.extra["XIAN_WORKFLOW_DRAIN_SECONDS"] = "6"
    (brief, long, waits) = fresh(3)
    gate = queue.gate()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        worker.notify["processor"] = str(worker.path / "notify")
        manager.bind(worker.notify["processor"])
        manager.settimeout(20)
        worker.start("handlers", "processor")
        await queue.submit(brief, payload=f"until:{gate}")
        await queue.submit(long, payload=f"until:{queue.gate()}")
        await holds(lambda: runs(worker, brief) and runs(worker, long), "both runs")
        stopping = asyncio.create_task(end(worker, "processor", signal.SIGTERM))
        while "STOPPING=1" not in (await asyncio.to_thread(manager.recv, 4096)).decode():
            pass
        del worker.notify["processor"]
        await queue.submit(waits)
        gate.touch()
        assert await stopping == 0, worker.log("processor")
    assert (await queue.item(brief)).status == "completed"
    given_back = await queue.item(long)
    assert (given_back.status, given_back.attempt) == ("submitted", 1)
    assert (await queue.item(waits)).attempt == 0
    ((*_, process),) = runs(worker, long)
    assert not seen(process, "stat")
    del worker.extra["XIAN_WORKFLOW_DRAIN_SECONDS"]


async def test_the_sweep_finds_what_the_events_did_not_tell_of(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("handlers", "processor")
    (before, missed) = fresh(2)
    await queue.submit(before)
    await queue.until(before, "completed")
    await end(worker, "handlers", signal.SIGTERM)
    await queue.submit(missed)

    async def forgotten() -> bool:
        """Whether the processor had read of the item, and does not know of it any more."""
        await holds(lambda: beat(worker).get("problem"), "the processor without handlers")
        assert await end(worker, "processor", signal.SIGTERM) == 0
        # As if the index had never told of it.
        journal = worker.path / "processor" / "processor.sqlite3"
        with contextlib.closing(sqlite3.connect(journal)) as database, database:
            gone = database.execute("DELETE FROM open_items WHERE item_id = ?", (missed,)).rowcount
        if not gone:
            worker.start("processor")
        return gone == 1

    await eventually(forgotten, "an item that was read of")
    worker.start("handlers", "processor")
    await queue.until(missed, "completed")
    assert "found by the sweep" in worker.log("processor")


async def test_handlers_and_what_they_start_see_no_key(queue: Queue) -> None:
    worker = queue.workers[0]
    worker.start("handlers", "processor")
    (item_id,) = fresh()
    await queue.submit(item_id, payload=f"until:{queue.gate()}")
    ((*_, child),) = await holds(lambda: runs(worker, item_id), "the run")
    key = worker.keys["processor"]
    for process in (worker.running["handlers"].pid, int(child)):
        environment = seen(process, "environ")
        assert "PATH=" in environment
        assert key not in environment + seen(process, "cmdline")
        assert "XIAN_WALLET" not in environment
    assert "XIAN_" not in seen(child, "environ")
    ours = seen(worker.running["processor"].pid, "environ")
    assert key in ours, "the test looks at the wrong thing"
