"""Run the benchmark on the development stack: `make bench`."""

import asyncio
import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from . import ceiling, many, plain, services
from .target import prepare

ITEMS = 2_000
CEILING_ITEMS = 10_000
LISTED = (10_000, 1_000_000)


@dataclass(frozen=True)
class Figure:
    """One line of the table: what was measured, beside the ceiling and the plain client."""

    name: str
    measured: str
    ceiling: str
    plain: str
    floor: str
    met: bool


async def measure() -> list[Figure]:
    """Take all figures, one after the other, each on a stack that does nothing else."""
    target = await prepare()
    say(f"benchmark {target.run} on {target.chain_id} at {target.node_url}")
    say("plain client ...")
    plain_items = await plain.items_per_second(target, 4)
    plain_read = await plain.read_seconds(target, 5)
    plain_events = await plain.events_per_second(target, 4)
    say(f"  {plain_items:.2f} items/s, {plain_events:.1f} events/s")
    say("one item at a time ...")
    idle = await services.idle_latency(target, 40)
    say("POST /items ...")
    single = await services.single_posts(target, ITEMS, in_flight=200)
    say(f"  {single:.0f} items/s")
    say("POST /items/batch ...")
    batch = await services.batch_posts(target, ITEMS)
    say(f"  {batch:.0f} items/s")
    memory = services.memory()
    say("ceiling ...")
    top = await ceiling.items_per_second(target, CEILING_ITEMS)
    say(f"  {top:.0f} items/s")
    say("backfill ...")
    filled = await services.backfill(target, 3 * CEILING_ITEMS)
    say(f"  {filled:.0f} events/s")
    say("reads ...")
    path = f"/items/{target.run}-single-0"
    read = await services.read_latency(target.api_url, [path], 300)
    say("lists ...")
    lists = await many.list_latency(target, LISTED, 700)
    few, most = (lists[size] * 1000 for size in LISTED)
    p50, p99 = (services.percentile(idle, share) * 1000 for share in (0.5, 0.99))
    read_ms = services.percentile(read, 0.5) * 1000
    heaviest = max(memory, key=lambda name: memory[name])
    return [
        Figure(
            "POST /items, 200 in flight",
            f"{single:.0f} items/s",
            f"{top:.0f} items/s",
            f"{plain_items:.2f} items/s",
            "200 items/s, 400 x plain",
            single >= 200 and single >= 400 * plain_items,
        ),
        Figure(
            "POST /items/batch",
            f"{batch:.0f} items/s",
            f"{top:.0f} items/s",
            f"{plain_items:.2f} items/s",
            "50 % of the ceiling",
            batch >= top / 2,
        ),
        Figure(
            "one item, idle system",
            f"p50 {p50:.0f} ms, p99 {p99:.0f} ms",
            "-",
            f"{1000 / plain_items:.0f} ms",
            "p50 200 ms, p99 1 s",
            p50 <= 200 and p99 <= 1000,
        ),
        Figure(
            f"backfill of {3 * CEILING_ITEMS} events",
            f"{filled:.0f} events/s",
            "-",
            f"{plain_events:.1f} events/s",
            "5,000 events/s, 1,000 x plain",
            filled >= 5000 and filled >= 1000 * plain_events,
        ),
        Figure(
            "GET /items/{id}, authoritative",
            f"p50 {read_ms:.1f} ms",
            "-",
            f"{plain_read * 1000:.0f} ms",
            "p50 5 ms, 1/50 of plain",
            read_ms <= 5 and read_ms <= plain_read * 1000 / 50,
        ),
        Figure(
            f"GET /items, filtered, {LISTED[1]:,} items",
            f"p99 {most:.1f} ms",
            f"{few:.1f} ms at {LISTED[0]:,}",
            "-",
            "p99 20 ms, flat",
            most <= 20 and most <= max(2 * few, 5),
        ),
        Figure(
            "memory of a service under load",
            ", ".join(f"{name} {size:.0f} MB" for name, size in memory.items()),
            "-",
            "-",
            "150 MB each",
            memory[heaviest] <= 150,
        ),
    ]


def say(line: str) -> None:
    """Tell a person what goes on."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, print the table and write it as JSON."""
    figures = asyncio.run(measure())
    rows = [("figure", "measured", "ceiling", "plain client", "at least", "")]
    rows += [
        (f.name, f.measured, f.ceiling, f.plain, f.floor, "ok" if f.met else "MISSED")
        for f in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    report = Path(".dev") / "bench.json"
    machine = {"cores": os.cpu_count(), "platform": platform.platform()}
    report.write_text(
        json.dumps({"machine": machine, "figures": [asdict(f) for f in figures]}, indent=2)
    )
    print(f"written to {report}")
    sys.exit(0 if all(figure.met for figure in figures) else 1)


main()
