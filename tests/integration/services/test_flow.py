"""The way of an item through all services on a real node, and what a kill may not change."""

import asyncio
import contextlib
import json
import signal
import socket
from collections import Counter

from .stack import Stack, eventually


def ids_of(prefix: str, number: int) -> list[str]:
    return [f"{prefix}-{n}" for n in range(number)]


async def transitions(stack: Stack, item_id: str, expected: list[str]) -> None:
    """Wait for an item's events: its record may be projected a moment before they are."""
    names: list[str] = []

    async def as_expected() -> bool:
        activity = await stack.get(f"/items/{item_id}/activity")
        names[:] = [event["event_name"] for event in reversed(activity["events"])]
        return len(names) >= len(expected)

    await eventually(as_expected, f"{expected} of {item_id}")
    assert names == expected


async def test_200_items_with_50_in_flight_each_end_once(running: Stack) -> None:
    ids = ids_of("flow", 200)
    statuses = await running.submit_many(ids, in_flight=50)
    assert Counter(statuses.values()) == {201: 200}
    await running.all_completed(ids)
    page = await running.get("/items?status=completed&limit=500")
    assert Counter(item["item_id"] for item in page["items"]) == Counter(ids)
    steps = ["ItemSubmitted", "ItemClaimed", "ItemCompleted"]
    for item_id in ids[::20]:
        await transitions(running, item_id, steps)


async def test_every_service_may_be_killed_while_items_flow(running: Stack) -> None:
    ids = ids_of("kill", 200)
    flow = asyncio.create_task(running.submit_many(ids, in_flight=50))
    for service in ("processor", "projector", "api"):
        before = len(await completed(running))

        async def some_more(before: int = before) -> bool:
            return len(await completed(running)) > before or flow.done()

        await eventually(some_more, "progress")
        running.end(service, signal.SIGKILL)
        running.start(service)
        await running.ready()
    statuses = await flow
    unknown = [item_id for item_id, status in statuses.items() if status != 201]
    # What a client does whose answer was lost: the same request again.
    again = await running.submit_many(unknown, in_flight=50)
    assert set(again.values()) <= {201}
    await running.all_completed(ids)
    for item_id in ids:
        await transitions(running, item_id, ["ItemSubmitted", "ItemClaimed", "ItemCompleted"])


async def completed(stack: Stack) -> list[str]:
    page = await stack.get("/items?status=completed&limit=500")
    return [item["item_id"] for item in page["items"]]


async def test_a_processor_that_was_killed_takes_up_what_it_held(stack: Stack) -> None:
    stack.start("projector", "handlers", "api")
    await stack.ready()
    ids = ids_of("held", 20)
    await stack.submit_many(ids, in_flight=20)
    stack.start("processor")

    async def some_claimed() -> bool:
        summary = await stack.get("/projection/summary")
        return bool(summary["processing_count"] + summary["completed_count"])

    await eventually(some_claimed, "a claim")
    stack.end("processor", signal.SIGKILL)
    stack.start("processor")
    await stack.all_completed(ids)


async def test_services_end_in_order_when_stopped(running: Stack) -> None:
    await running.submit_many(ids_of("end", 10), in_flight=10)
    for service in ("api", "processor", "projector"):
        assert running.end(service, signal.SIGTERM) == 0, running.log(service)
    running.start("api", "processor", "projector")
    await running.ready()


async def test_an_idle_restart_of_the_projector_changes_no_row(running: Stack) -> None:
    ids = ids_of("again", 10)
    await running.submit_many(ids, in_flight=10)
    for item_id in ids:
        await transitions(running, item_id, ["ItemSubmitted", "ItemClaimed", "ItemCompleted"])
    before = await running.get("/activity/recent?limit=30")
    running.end("projector", signal.SIGTERM)
    running.start("projector")
    await running.submit_many(["again-more"], in_flight=1)
    await running.all_completed(["again-more"])
    await transitions(running, "again-more", ["ItemSubmitted", "ItemClaimed", "ItemCompleted"])
    after = await running.get("/activity/recent?limit=33")
    assert after["events"][3:] == before["events"]


async def test_the_event_worker_prints_each_event_once_over_restarts(running: Stack) -> None:
    lines: list[dict[str, str]] = []

    async def collect(until: str) -> None:
        process = await asyncio.create_subprocess_exec(
            running.command,
            "events",
            env=running.environment("events"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while not lines or (lines[-1]["item_id"], lines[-1]["event_name"]) != (
                until,
                "ItemCompleted",
            ):
                lines.append(json.loads(await process.stdout.readline()))
        process.terminate()
        assert await process.wait() == 0

    await running.submit_many(["one"], in_flight=1)
    await running.all_completed(["one"])
    await collect("one")
    await running.submit_many(["two"], in_flight=1)
    await running.all_completed(["two"])
    await collect("two")
    places = [[int(part) for part in line["event_id"].split("-")] for line in lines]
    assert places == sorted(places)
    assert len(places) == len({line["event_id"] for line in lines})
    for item_id in ("one", "two"):
        names = [line["event_name"] for line in lines if line["item_id"] == item_id]
        assert names == ["ItemSubmitted", "ItemClaimed", "ItemCompleted"]


async def test_the_service_manager_is_notified_that_each_is_ready_and_lives(stack: Stack) -> None:
    names = ("projector", "handlers", "processor", "api")
    managers = {name: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for name in names}
    received: dict[str, list[str]] = {name: [] for name in names}
    try:
        for name, manager in managers.items():
            manager.bind(str(stack.path / f"{name}.notify"))
            manager.setblocking(False)
            stack.notify[name] = str(stack.path / f"{name}.notify")

        async def all_received(*lines: str) -> bool:
            for name, manager in managers.items():
                with contextlib.suppress(BlockingIOError):
                    received[name] += manager.recv(4096).decode().split("\n")
            return all(set(lines) <= set(received[name]) for name in names)

        stack.start(*names)
        await eventually(lambda: all_received("READY=1", "WATCHDOG=1"), "a word of each")
        for name in names:
            assert stack.end(name, signal.SIGTERM) == 0
        await eventually(lambda: all_received("STOPPING=1"), "the last word of each")
    finally:
        for manager in managers.values():
            manager.close()
