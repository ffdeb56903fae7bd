"""Headers of blocks: the node's own, or those of its index where it has the blocks no more."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import times
from .node import Node

WINDOW = 20
"""The most headers that a node gives at once."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of a block tells; `time` is that of the commit before it, as RFC 3339."""

    height: int
    hash: str
    time: str


async def headers(node: Node, heights: Collection[int]) -> dict[int, Header]:
    """Return those headers that there are at these heights; raises NodeUnavailable."""
    if not heights:
        return {}
    status = await node.status()
    own = sorted(height for height in heights if status.base <= height <= status.height)
    older = [height for height in heights if 0 < height < status.base]
    calls = [
        ("blockchain", {"minHeight": str(first), "maxHeight": str(last)})
        for first, last in _windows(own)
    ]
    answers = await node.rpc.batch(calls)
    rows = await node.rpc.queries([f"/block/{height}" for height in older])
    try:
        found = [_header(meta) for answer in answers for meta in answer["block_metas"]]
        found += [_indexed(row) for row in rows if row is not None]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise node.rpc.is_no_node() from error
    return {header.height: header for header in found}


def _windows(heights: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last heights of ranges that cover all of them, which are in order."""
    start = 0
    for number, height in enumerate(heights):
        if number + 1 == len(heights) or heights[number + 1] - heights[start] >= WINDOW:
            yield heights[start], height
            start = number + 1


def _header(meta: dict[str, Any]) -> Header:
    header = meta["header"]
    return Header(int(header["height"]), meta["block_id"]["hash"], times.parse(header["time"]))


def _indexed(row: dict[str, Any]) -> Header:
    return Header(row["height"], row["block_hash"].upper(), times.parse(row["block_time_iso"]))
