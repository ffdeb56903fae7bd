"""Submit many items at once and wait for all of them: python examples/batch.py PREFIX COUNT."""

import asyncio
import os
import sys

from workflow_backend_client import AsyncClient

URL = os.environ.get("XIAN_WORKFLOW_API_URL", "http://127.0.0.1:8000")


async def main(prefix: str, count: int) -> None:
    """Submit `count` items and wait for those that were accepted."""
    ids = [f"{prefix}-{number}" for number in range(count)]
    async with AsyncClient(URL) as client:
        outcome = await client.submit_batch(
            [{"item_id": item_id, "payload_uri": "https://example.org/work"} for item_id in ids]
        )
        for entry in outcome["results"]:
            if entry["refusal"]:
                print(f"{entry['item_id']} was refused: {entry['refusal']['detail']}")
        accepted = [entry["item_id"] for entry in outcome["results"] if entry["accepted"]]
        items = await asyncio.gather(*(client.wait(item_id) for item_id in accepted if item_id))
    print(f"{len(items)} of {count} are settled")


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
