"""The command `events`: the contract's events as JSON lines, resumable by a cursor in a file."""

import asyncio
import json
from pathlib import Path
from typing import TextIO

from ..errors import HistoryDiverged, IndexUnavailable, NodeUnavailable, SettingError
from ..items import Block, Event
from ..outage_log import OutageLog
from ..settings import Settings
from .block_subscription import BlockSubscription
from .committed_events import CommittedEventReader
from .contract import ITEM_EVENTS
from .events import Cursor
from .node import Node
from .rpc import Rpc

RETRY_SECONDS = 1.0
HINT = "name another file, or remove it to begin with the first event"


async def stream_events(
    settings: Settings, cursor_path: Path, out: TextIO, stop: asyncio.Event
) -> None:
    """Print events until `stop` is set; a kill may repeat the last page, but never skips events."""
    cursor = _load(cursor_path, settings)
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        subscription = BlockSubscription(rpc)
        reader = CommittedEventReader(node, subscription, ITEM_EVENTS)
        outage = OutageLog("events are read again")
        async with subscription.running():
            while not stop.is_set():
                try:
                    page = await reader.page(cursor)
                except (NodeUnavailable, IndexUnavailable) as error:
                    outage.record_failure(error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                except HistoryDiverged as error:
                    raise HistoryDiverged(f"{cursor_path}: {error}", hint=HINT) from error
                outage.record_success()
                if page.events:
                    out.writelines(
                        json.dumps(_line(event, page.blocks[event.position.height])) + "\n"
                        for event in page.events
                    )
                    out.flush()
                    cursor = page.cursor
                    _save(cursor_path, settings, cursor)
                await reader.wait_for_more(page)


def _line(event: Event, block: Block) -> dict[str, object]:
    return {
        "event_id": str(event.position),
        "block_height": event.position.height,
        "event_name": event.name,
        "item_id": event.item_id,
        "data": event.data,
        "tx_hash": event.tx_hash,
        "actor": event.actor,
        "created": block.time,
        "contract_created": block.contract_time,
    }


def _load(path: Path, settings: Settings) -> Cursor:
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        cursor = Cursor.from_json(saved)
        # Cursors of an earlier release have neither.
        of = saved.get("contract", settings.contract), saved.get("chain_id", settings.chain_id)
    except FileNotFoundError:
        return Cursor()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{path} is not a cursor of this program: {error}", hint=HINT) from error
    if of != (settings.contract, settings.chain_id):
        raise SettingError(
            f"{path} is a cursor of {of[0]} on {of[1]}, "
            f"not of {settings.contract} on {settings.chain_id}",
            hint=HINT,
        )
    return cursor


def _save(path: Path, settings: Settings, cursor: Cursor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    saved = {"chain_id": settings.chain_id, "contract": settings.contract, **cursor.as_json()}
    temporary.write_text(json.dumps(saved), encoding="utf-8")
    temporary.replace(path)
