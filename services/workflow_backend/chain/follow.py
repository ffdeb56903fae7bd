"""The event worker: the contract's events as JSON lines, behind a cursor in a file."""

import asyncio
import json
from pathlib import Path
from typing import TextIO

from ..errors import HistoryDiverged, IndexUnavailable, NodeUnavailable, SettingError
from ..items import Block, Event
from ..outage import Outage
from ..settings import Settings
from .committed import CommittedEvents
from .contract import ITEM_EVENTS
from .events import Cursor
from .heads import Heads
from .node import Node
from .rpc import Rpc

TROUBLE_SECONDS = 1.0
HINT = "name another file, or remove it to begin with the first event"


async def follow(settings: Settings, cursor_path: Path, out: TextIO, stop: asyncio.Event) -> None:
    """Print events until `stop` is set. A kill may repeat the last page's lines, never skip one."""
    cursor = _load(cursor_path, settings)
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        heads = Heads(rpc)
        reader = CommittedEvents(node, heads, ITEM_EVENTS)
        outage = Outage("the events go on")
        async with heads.following():
            while not stop.is_set():
                try:
                    page = await reader.page(cursor)
                except (NodeUnavailable, IndexUnavailable) as error:
                    outage.failed(error)
                    await asyncio.sleep(TROUBLE_SECONDS)
                    continue
                except HistoryDiverged as error:
                    raise HistoryDiverged(f"{cursor_path}: {error}", hint=HINT) from error
                outage.well()
                if page.events:
                    out.writelines(
                        json.dumps(_line(event, page.blocks[event.place.height])) + "\n"
                        for event in page.events
                    )
                    out.flush()
                    cursor = page.cursor
                    _save(cursor_path, settings, cursor)
                await reader.until_more(page)


def _line(event: Event, block: Block) -> dict[str, object]:
    return {
        "id": str(event.place),
        "block_height": event.place.height,
        "event": event.name,
        "item_id": event.item_id,
        "data": event.data,
        "tx_hash": event.tx_hash,
        "created_at": block.time,
        "contract_created_at": block.contract_time,
    }


def _load(path: Path, settings: Settings) -> Cursor:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        cursor = Cursor.from_json(told)
        # An earlier release did not name them.
        of = told.get("contract", settings.contract), told.get("chain_id", settings.chain_id)
    except FileNotFoundError:
        return Cursor()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{path} is no cursor of this program: {error}", hint=HINT) from error
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
    told = {"chain_id": settings.chain_id, "contract": settings.contract, **cursor.as_json()}
    temporary.write_text(json.dumps(told), encoding="utf-8")
    temporary.replace(path)
