"""A node that answers as CometBFT does, and the settings that lead to it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from workflow_backend.settings import Settings

STATUS = {
    "node_info": {"network": "net-1", "id": "ab" * 20},
    "sync_info": {
        "latest_block_height": "7",
        "latest_block_time": "2026-01-01T11:00:00Z",
        "latest_app_hash": "",
        "earliest_block_height": "1",
        "catching_up": False,
    },
    "validator_info": {"address": "AB" * 20},
}


@dataclass
class FakeNode:
    """Answers as CometBFT does; what goes to its app is never answered while that is frozen."""

    frozen: bool = False
    url: str = ""
    asked: list[str] = field(default_factory=list)
    thawed: asyncio.Event = field(default_factory=asyncio.Event)

    async def rpc(self, request: web.Request) -> web.Response:
        asked = await request.json()
        method = asked["method"]
        self.asked.append(method)
        if method.startswith("abci") and self.frozen:
            await self.thawed.wait()
        found: dict[str, Any] = {
            "status": STATUS,
            "num_unconfirmed_txs": {"n_txs": "0"},
            "abci_info": {"response": {}},
        }
        result = found.get(method, {"response": {"code": 0, "value": None}})
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": result})

    async def api(self, _: web.Request) -> web.Response:
        """An API that asks the node first, as ours does."""
        await self.thawed.wait()
        return web.json_response({})


def settings(node: FakeNode, **more: str) -> Settings:
    return Settings.load(
        {
            "XIAN_NODE_URL": node.url,
            "XIAN_CHAIN_ID": "net-1",
            "XIAN_WORKFLOW_INDEX": "no",
            **more,
        }
    )
