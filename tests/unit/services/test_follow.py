"""The cursor of the event worker: whose it is."""

import asyncio
import io
import json
from pathlib import Path

import pytest

from workflow_backend.chain import follow as module
from workflow_backend.chain.events import Cursor
from workflow_backend.chain.follow import follow
from workflow_backend.errors import SettingError
from workflow_backend.items import Place
from workflow_backend.settings import Settings

OURS = {"XIAN_CHAIN_ID": "chain-1", "XIAN_WORKFLOW_CONTRACT": "con_ours"}


@pytest.mark.parametrize(
    "other", [{"XIAN_CHAIN_ID": "chain-2"}, {"XIAN_WORKFLOW_CONTRACT": "con_other"}]
)
async def test_cursor_of_another_chain_or_contract_is_refused(
    tmp_path: Path, other: dict[str, str]
) -> None:
    path = tmp_path / "cursor.json"
    cursor = Cursor(Place(7, 0, 1), {"ItemClaimed": (12, Place(7, 0, 1))}, "AB")
    module._save(path, Settings.load(OURS), cursor)
    assert module._load(path, Settings.load(OURS)) == cursor
    with pytest.raises(SettingError, match="is a cursor of con_ours on chain-1, not of"):
        await follow(Settings.load(OURS | other), path, io.StringIO(), asyncio.Event())


def test_cursor_of_an_earlier_release_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "cursor.json"
    path.write_text(json.dumps({"place": [7, 0, 1], "seen": {}}))
    assert module._load(path, Settings.load(OURS)) == Cursor(Place(7, 0, 1))
