"""What `projection verify` finds, where a real chain would take long to show it."""

import io
import json
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workflow_backend.items import START, Block
from workflow_backend.projection.verify import _Verifier
from workflow_backend.store.sqlite import SqliteStore

from ..store.records import CHAIN, CONTRACT, block, change, event, item


async def test_verify_finds_diverged_blocks(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "p.sqlite3", CHAIN, CONTRACT)
    await store.prepare()
    events = [event(height, f"i-{height}") for height in (1, 2)]
    await store.apply(change(START, events, [item(f"i-{height}", height) for height in (1, 2)]))

    async def committed(heights: Collection[int]) -> dict[int, Block]:
        return {
            each: block(each)._replace(hash="AB") if each == 2 else block(each) for each in heights
        }

    out = io.StringIO()
    node: Any = SimpleNamespace(rpc=None)
    verifier = _Verifier(node, store, out)
    verifier._blocks = SimpleNamespace(committed=committed)  # type: ignore[assignment]
    await verifier._compare_blocks({1, 2, 3})
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"block": 2, "chain": "AB", "projection": block(2).hash}
    ]
    assert verifier.found["differences"] == 1
    await store.close()
