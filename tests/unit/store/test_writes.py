"""Several parts of one process write to a projection: each write is a transaction of its own."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.items import START
from workflow_backend.store import changes
from workflow_backend.store.sqlite import SqliteStore

from .records import CHAIN, CONTRACT, change, event, item


async def test_write_waits_for_another_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "p.sqlite3", CHAIN, CONTRACT)
    await store.prepare()
    loop, apply_statements = asyncio.get_running_loop(), changes.apply_statements
    others: list[Future[None]] = []

    def taken_in(*given: Any) -> Iterator[Any]:
        # In the middle of this transaction the comparison with the chain counts anew.
        others.append(asyncio.run_coroutine_threadsafe(store.rebuild_counts(), loop))
        wait(others, timeout=0.5)
        yield from apply_statements(*given)

    monkeypatch.setattr(changes, "apply_statements", taken_in)
    assert await store.apply(change(START, [event(1, "a")], [item("a")]))
    await asyncio.wrap_future(others[0])
    assert (await store.counts())["submitted"] == 1
    assert all(counted == there for counted, there in (await store.audit_counts()).values())
    await store.close()
