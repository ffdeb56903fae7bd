"""Headers of blocks: from the node, or from its index if the node has pruned the blocks."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import times
from .cometbft_answers import HEADERS_PAGE, HeaderSummary
from .node import Node


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a block; `time` is when the block before was committed, as RFC 3339."""

    height: int
    hash: str
    time: str


async def fetch_headers(node: Node, heights: Collection[int]) -> dict[int, Header]:
    """Return the headers that exist at these heights; raises NodeUnavailable."""
    if not heights:
        return {}
    status = await node.status()
    own = sorted(height for height in heights if status.base <= height <= status.height)
    older = [height for height in heights if 0 < height < status.base]
    answers = await node.cometbft.headers(_windows(own))
    rows = await node.rpc.queries([f"/block/{height}" for height in older])
    try:
        found = [_header(answer) for answer in answers]
        found += [_indexed(row) for row in rows if row is not None]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise node.rpc.is_no_node() from error
    return {header.height: header for header in found}


def _windows(heights: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last heights of ranges that cover these sorted heights."""
    start = 0
    for number, height in enumerate(heights):
        if number + 1 == len(heights) or heights[number + 1] - heights[start] >= HEADERS_PAGE:
            yield heights[start], height
            start = number + 1


def _header(answer: HeaderSummary) -> Header:
    return Header(answer.height, answer.hash.upper(), times.parse(answer.time))


def _indexed(row: dict[str, Any]) -> Header:
    return Header(row["height"], row["block_hash"].upper(), times.parse(row["block_time_iso"]))
