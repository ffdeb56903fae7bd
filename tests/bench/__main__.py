"""Run the benchmark on the development stack: `make bench`."""

import asyncio
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from xian_py import Wallet

from . import ceiling, many, plain, services
from .memory import Memory
from .processes import guarded_api
from .report import Figure, megabytes, table, write
from .requests import percentile
from .target import prepare

ITEMS = 2_000
CEILING_ITEMS = 10_000
EVENTS = len(ceiling.STEPS) * CEILING_ITEMS
FEW, MANY = 10_000, 1_000_000
FLAT = 1.5
"""A list over MANY items may take so many times as long as over FEW, by each filter's median."""


@dataclass(frozen=True)
class Measured:
    """Everything that a run measures: seconds, items and events a second, megabytes."""

    plain: plain.Plain
    ceiling: float
    single: float
    batch: float
    idle: list[float]
    idle_ceiling: list[float]
    backfill: float
    backfill_ceiling: float
    read: list[float]
    read_ceiling: list[float]
    few: many.Lists
    many: many.Lists
    memory: Memory


async def measure() -> Measured:
    """Take all measures one after the other, each on a stack that does nothing else."""
    began = perf_counter()

    def say(line: str) -> None:
        print(f"{perf_counter() - began:4.0f} s  {line}", file=sys.stderr, flush=True)

    target, memory = await prepare(), Memory()
    run, alone = target.run, f"{target.run}-alone-0-0"
    say(f"benchmark {run} on {target.chain_id} at {target.node_url}: plain client")
    by_plain = await plain.measure(target)
    with memory.of_the_stack(), tempfile.TemporaryDirectory() as name:
        async with guarded_api(memory, Path(name), Wallet()) as served:
            say("one item at a time")
            idle = await services.idle_latency(served, run, 40)
            idle_ceiling = await ceiling.item_seconds(target, 40)
            say("POST /items")
            single = await services.single_posts(served, run, ITEMS, in_flight=200)
            say("POST /items/batch")
            batch = await services.batch_posts(served, run, ITEMS)
            say("ceiling")
            top = await ceiling.items_per_second(target, CEILING_ITEMS)
            say("backfill")
            backfill = await services.backfill(target, memory, EVENTS)
            backfill_ceiling = await ceiling.events_per_second(target)
            say("reads")
            read = await services.read_latency(served, f"{run}-single-0", 300)
            read_ceiling = await ceiling.read_seconds(target, alone, 300)
        say(f"lists over {FEW:,} items")
        few = await many.lists(target, memory, FEW, 60)
        say(f"lists over {MANY:,} items")
        most = await many.lists(target, memory, MANY, 60)
    say("done")
    return Measured(
        plain=by_plain,
        ceiling=top,
        single=single,
        batch=batch,
        idle=idle,
        idle_ceiling=idle_ceiling,
        backfill=backfill,
        backfill_ceiling=backfill_ceiling,
        read=read,
        read_ceiling=read_ceiling,
        few=few,
        many=most,
        memory=memory,
    )


def figures(m: Measured) -> list[Figure]:
    """Hold what was measured against the floors."""
    return [*_items(m), _idle(m), _backfill(m), _read(m), *_lists(m), _memory(m)]


def _items(m: Measured) -> list[Figure]:
    plain_rate = 1 / m.plain.item_seconds
    beside = f"{m.ceiling:.0f} items/s", f"{plain_rate:.2f} items/s"
    return [
        Figure(
            f"POST /items, 200 in flight, {ITEMS:,} items",
            f"{m.single:.0f} items/s",
            *beside,
            "200 items/s, 400 x plain",
            m.single >= 200 and m.single >= 400 * plain_rate,
        ),
        Figure(
            f"POST /items/batch, {ITEMS:,} items",
            f"{m.batch:.0f} items/s",
            *beside,
            "50 % of the ceiling",
            m.batch >= m.ceiling / 2,
        ),
    ]


def _idle(m: Measured) -> Figure:
    p50, p99 = (percentile(m.idle, share) for share in (0.5, 0.99))
    return Figure(
        "one item, idle system",
        f"p50 {ms(p50)}, p99 {ms(p99)}",
        f"p50 {ms(percentile(m.idle_ceiling, 0.5))} (three transactions)",
        ms(m.plain.item_seconds),
        "p50 200 ms, p99 1 s",
        p50 <= 0.2 and p99 <= 1,
    )


def _backfill(m: Measured) -> Figure:
    return Figure(
        f"backfill of {EVENTS:,} events",
        f"{m.backfill:.0f} events/s",
        f"{m.backfill_ceiling:.0f} events/s (read alone)",
        f"{m.plain.events_per_second:.1f} events/s",
        "5,000 events/s, 1,000 x plain",
        m.backfill >= 5000 and m.backfill >= 1000 * m.plain.events_per_second,
    )


def _read(m: Measured) -> Figure:
    p50 = percentile(m.read, 0.5)
    return Figure(
        "GET /items/{id}, authoritative",
        f"p50 {ms(p50)}",
        f"p50 {ms(percentile(m.read_ceiling, 0.5))} (the record alone)",
        ms(m.plain.read_seconds),
        "p50 5 ms, 1/50 of plain",
        p50 <= 0.005 and p50 <= m.plain.read_seconds / 50,
    )


def _lists(m: Measured) -> list[Figure]:
    # The plain client has no lists: it reads the events and then each item.
    page = 100 / m.plain.events_per_second
    times, name = many.growth(m.few, m.many)
    return [
        Figure(
            f"GET /items, filtered, {MANY:,} items",
            f"p99 {ms(m.many.p99)}",
            f"p99 {ms(percentile(m.many.store, 0.99))} (the store alone)",
            f"{page:.0f} s for 100 items",
            "p99 20 ms",
            m.many.p99 <= 0.02,
        ),
        Figure(
            f"the same, against {FEW:,} items",
            f"{times:.2f} x ({name}); p99 was {ms(m.few.p99)}",
            f"{median(m.many.store) / median(m.few.store):.2f} x (the store alone)",
            f"{MANY / FEW:.0f} x (it reads all)",
            f"{FLAT} x",
            times <= FLAT,
        ),
    ]


def _memory(m: Measured) -> Figure:
    return Figure(
        "memory, peak over the run",
        megabytes(m.memory.peak),
        f"{megabytes(m.memory.rest)} (at rest)",
        f"{m.plain.megabytes:.0f} MB",
        "150 MB each",
        max(m.memory.peak.values()) <= 150,
    )


def ms(seconds: float) -> str:
    """Return seconds as milliseconds, with a place behind the point where they are few."""
    return f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f} ms"


def main() -> None:
    """Measure, print the table and write it as JSON."""
    found = figures(asyncio.run(measure()))
    print(table(found))
    path = Path(".dev") / "bench.json"
    write(path, found)
    print(f"written to {path}")
    sys.exit(0 if all(figure.met for figure in found) else 1)


main()
