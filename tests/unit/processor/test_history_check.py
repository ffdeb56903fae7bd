"""A chain that was restored to an older height: its events are read again from the first one."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain.block_subscription import BlockSubscription
from workflow_backend.chain.rpc import Rpc
from workflow_backend.items import START, Block
from workflow_backend.processor.event_listener import EventListener
from workflow_backend.processor.history_check import HistoryCheck
from workflow_backend.processor.journal import Journal
from workflow_backend.processor.lease_takeover import LeaseTakeover
from workflow_backend.processor.rendezvous_hash import RendezvousHash

from ..projection.fake_index import Chain

ME = "a" * 64


class Node(Chain):
    """A chain that tells its height, and each submission with its kind."""

    catching_up = False

    async def status(self) -> Any:
        return self  # it has `height` and `catching_up`

    def submit(self, *ids: str) -> None:
        self.block([(item_id, 1) for item_id in ids], indexed=True)
        self.all_events = [
            replace(event, data=event.data | {"kind": "job"}) for event in self.all_events
        ]

    def restore(self, *ids: str) -> None:
        """Go on from an older height, with other blocks since."""
        self.history += "b"
        self.records.clear()
        self.all_events.clear()
        self.indexed = 0
        for item_id in ids:
            self.submit(item_id)


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "processor.sqlite3", "chain-1", "con_job_workflow")
    yield journal
    journal.close()


def listener(node: Any, journal: Journal) -> EventListener:
    """A listener as a process begins with it."""
    subscription = BlockSubscription(Rpc("http://node"))
    history = HistoryCheck(node, subscription)
    history._blocks = node  # it answers as they do
    # The next header settles a block, and the subscription has it then.
    subscription.blocks = Settled(node)  # type: ignore[assignment]
    return EventListener(
        node,
        journal,
        RendezvousHash(ME),
        LeaseTakeover(),
        asyncio.Event(),
        history=history,
        me=ME,
        lease_seconds=60,
        stop=lambda _: None,
    )


class Settled:
    """The committed blocks that a subscription has."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def get(self, height: int) -> Block | None:
        there = 0 < height <= self._node.height
        return Block(height, f"{self._node.history}{height}", "", "") if there else None


async def read(listener: EventListener, pages: int = 3) -> list[str | None]:
    """Read so many pages; return the items whose events were in them."""
    found = [await listener.apply_next_page() for _ in range(pages)]
    return [event.item_id for page in found for event in page.events]


async def test_events_of_the_same_history_are_read_once(node: Node, journal: Journal) -> None:
    node.submit("a")
    assert await read(listener(node, journal)) == ["a"]
    node.submit("b")
    assert await read(listener(node, journal)) == ["b"]


async def test_events_are_read_again_after_a_restore_to_an_older_height(
    node: Node, journal: Journal
) -> None:
    node.submit("a")
    node.submit("b")
    listening = listener(node, journal)
    assert await read(listening) == ["a", "b"]
    node.restore("c")
    assert await read(listening) == ["c"], "while it runs"


async def test_restored_chain_that_is_higher_by_now_is_known_by_its_block(
    node: Node, journal: Journal
) -> None:
    node.submit("a")
    assert await read(listener(node, journal)) == ["a"]
    node.restore("c", "d", "e")
    assert await read(listener(node, journal)) == ["c", "d", "e"]


async def test_node_that_catches_up_is_waited_for(node: Node, journal: Journal) -> None:
    node.submit("a")
    node.submit("b")
    assert await read(listener(node, journal)) == ["a", "b"]
    blocks, node.all_events = node.all_events, node.all_events[:1]
    node.indexed, node.catching_up = 1, True
    listening = listener(node, journal)
    assert await read(listening) == []
    assert journal.cursor().position != START
    node.all_events, node.indexed, node.catching_up = blocks, 2, False
    assert await read(listening) == []
