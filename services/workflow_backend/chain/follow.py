"""The event worker: the contract's events as JSON lines, behind a cursor in a file."""

import asyncio
import json
import logging
from pathlib import Path
from typing import TextIO

from ..errors import IndexUnavailable, NodeUnavailable, SettingError
from ..items import Event
from ..settings import Settings
from .contract import ITEM_EVENTS
from .events import Cursor, EventReader
from .heads import Heads
from .node import Node
from .rpc import Rpc

log = logging.getLogger(__name__)

TROUBLE_SECONDS = 1.0


async def follow(settings: Settings, cursor_path: Path, out: TextIO, stop: asyncio.Event) -> None:
    """Print events until `stop` is set. A kill may repeat the last page's lines, never skip one."""
    cursor = _load(cursor_path)
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        await node.require_chain(settings.chain_id)
        reader = EventReader(node, ITEM_EVENTS)
        heads = Heads(rpc)
        async with heads.following():
            while not stop.is_set():
                try:
                    page = await reader.page(cursor)
                except (NodeUnavailable, IndexUnavailable) as error:
                    log.warning("%s", error.explain())
                    await asyncio.sleep(TROUBLE_SECONDS)
                    continue
                if page.events:
                    out.writelines(json.dumps(_line(event)) + "\n" for event in page.events)
                    out.flush()
                    cursor = page.cursor
                    _save(cursor_path, cursor)
                await reader.until_more(page, heads)


def _line(event: Event) -> dict[str, object]:
    return {
        "id": str(event.place),
        "block_height": event.place.height,
        "event": event.name,
        "item_id": event.item_id,
        "data": event.data,
        "tx_hash": event.tx_hash,
        "created_at": event.created_at,
    }


def _load(path: Path) -> Cursor:
    try:
        return Cursor.from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Cursor()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"{path} is no cursor of this program: {error}", hint="name another file or remove it"
        ) from error


def _save(path: Path, cursor: Cursor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(cursor.as_json()), encoding="utf-8")
    temporary.replace(path)
