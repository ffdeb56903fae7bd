"""Stand-ins for the chain and the handlers, and items as the contract keeps them."""

import asyncio
from collections.abc import Callable
from typing import Any

from workflow_backend.items import Item

LEASE = 60


def item(
    item_id: str = "a", attempt: int = 1, status: str = "processing", worker: str | None = "me"
) -> Item:
    """Build an item's record; by default this worker holds it."""
    return Item(
        item_id=item_id,
        requester="r",
        kind="job",
        payload_uri="p",
        metadata_ref="",
        client="",
        status=status,
        worker=worker,
        result_uri="",
        failure_reason="",
        created_at="2026-01-01 00:00:00",
        updated_at="2026-01-01 00:00:00",
        attempt=attempt,
        lease_seconds=LEASE,
        contested_at=None,
    )


async def until(condition: Callable[[], Any]) -> None:
    """Give other tasks their turn until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is awaited sets off no event
            await asyncio.sleep(0)
