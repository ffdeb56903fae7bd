"""The cursor of the event worker: whose it is."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from workflow_backend.chain import event_stream as module
from workflow_backend.chain.committed_events import CommittedEventReader
from workflow_backend.chain.event_stream import stream_events
from workflow_backend.chain.events import Cursor, EventReader
from workflow_backend.errors import HistoryDiverged, SettingError
from workflow_backend.items import EventPosition
from workflow_backend.settings import Settings

from ..projection.fake_index import NAMES, Chain, FakeSubscription

OURS = {"XIAN_CHAIN_ID": "chain-1", "XIAN_WORKFLOW_CONTRACT": "con_ours"}


@pytest.mark.parametrize(
    "other", [{"XIAN_CHAIN_ID": "chain-2"}, {"XIAN_WORKFLOW_CONTRACT": "con_other"}]
)
async def test_cursor_of_another_chain_or_contract_is_refused(
    tmp_path: Path, other: dict[str, str]
) -> None:
    path = tmp_path / "cursor.json"
    cursor = Cursor(EventPosition(7, 0, 1), {"ItemClaimed": (12, EventPosition(7, 0, 1))}, "AB")
    module._save(path, Settings.load(OURS), cursor)
    assert module._load(path, Settings.load(OURS)) == cursor
    with pytest.raises(SettingError, match="is a cursor of con_ours on chain-1, not of"):
        await stream_events(Settings.load(OURS | other), path, io.StringIO(), asyncio.Event())


def test_cursor_of_earlier_release_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "cursor.json"
    path.write_text(json.dumps({"place": [7, 0, 1], "seen": {}}))
    assert module._load(path, Settings.load(OURS)) == Cursor(EventPosition(7, 0, 1))


async def test_cursor_of_another_history_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restored chain has grown over the cursor: what it lost and made anew is not skipped."""
    chain, path, out, stop = Chain(), tmp_path / "cursor.json", io.StringIO(), asyncio.Event()

    def reader(*_: Any) -> CommittedEventReader:
        made = CommittedEventReader(chain, FakeSubscription(chain, heard=False), NAMES)  # type: ignore[arg-type]
        made._blocks = chain  # type: ignore[assignment]
        made._reader = EventReader(chain, NAMES, page=5)  # type: ignore[arg-type]
        monkeypatch.setattr(made, "wait_for_more", end)
        return made

    async def end(_: Any) -> None:
        stop.set()

    async def require_chain(_: str) -> None:
        pass

    @contextlib.asynccontextmanager
    async def opened(*_: Any) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(module, "Rpc", opened)
    node = type("Node", (), {"require_chain": staticmethod(require_chain)})
    monkeypatch.setattr(module, "Node", lambda *_: node)
    monkeypatch.setattr(
        module, "BlockSubscription", lambda _: type("", (), {"running": staticmethod(opened)})
    )
    monkeypatch.setattr(module, "CommittedEventReader", reader)
    for item in ("a", "b"):
        chain.block([(item, 1)], indexed=True)
    await stream_events(Settings.load(OURS), path, out, stop)
    assert [json.loads(line)["item_id"] for line in out.getvalue().splitlines()] == ["a", "b"]
    chain.history = "restored"
    for item in ("c", "d"):
        chain.block([(item, 1)], indexed=True)
    stop.clear()
    with pytest.raises(HistoryDiverged, match=f"{path}: block 2 is restored2 on this chain"):
        await stream_events(Settings.load(OURS), path, out, stop)
