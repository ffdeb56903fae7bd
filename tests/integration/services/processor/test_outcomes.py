"""What becomes of an item, by what its handler says and whether there is one."""

import contextlib
import signal
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from workflow_backend.chain import contract
from workflow_backend.items import Item

from ..stack import eventually
from .harness import FILE, Queue, beat, end, fresh, holds, is_working, runs, seen

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEB = """
[web]
handler = "http"
url = "{url}"
[web.retry]
first_seconds = 0.1
"""


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


async def test_item_ends_as_its_handler_says(queue: Queue) -> None:
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


async def test_service_is_left_alone_as_long_as_it_asks_and_the_item_is_kept(
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
        first.handlers = FILE + WEB.format(url=url)
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


async def test_failed_item_that_is_retried_is_done_again(queue: Queue) -> None:
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


async def test_kind_without_a_handler_waits_for_one_and_is_named(queue: Queue) -> None:
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


async def test_processor_claims_nothing_while_the_handlers_are_away(
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
