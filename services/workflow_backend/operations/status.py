"""The state of things in a few figures; what can't be had says why."""

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import heartbeat
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..client import ApiClient
from ..errors import WorkflowError, WrongChain
from ..settings import Settings
from .expected import Expected


async def status(settings: Settings) -> dict[str, Any]:
    """Return chain, index, items by status, and each service's last heartbeat."""
    expected = Expected.load(settings.environment)
    client = ApiClient.from_environment(settings.environment)
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        chain, index, items = await asyncio.gather(
            _or_reason(_chain(node, settings.chain_id)),
            _or_reason(_index(node)),
            _or_reason(asyncio.to_thread(_items, client, settings)),
        )
    services = {
        name: _last_beat(heartbeat.path(path, name)) for name, path in expected.services.items()
    }
    return {"chain": chain, "index": index, "items": items, "services": services}


def _items(client: ApiClient, settings: Settings) -> dict[str, Any]:
    served = client.call("GET", "/health")
    if (served["chain_id"], served["contract"]) != (settings.chain_id, settings.contract):
        raise WrongChain(
            f"the API at {client.url} serves {served['contract']} on {served['chain_id']}, "
            f"not {settings.contract} on {settings.chain_id}",
            hint="check XIAN_WORKFLOW_API_URL",
        )
    return client.call("GET", "/projection/summary")


async def _chain(node: Node, chain_id: str) -> dict[str, Any]:
    return asdict(await node.require_chain(chain_id)) | {"contract": node.contract}


async def _index(node: Node) -> dict[str, Any]:
    return asdict(await node.index_status())


async def _or_reason(look: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    try:
        return await look
    except WorkflowError as error:
        return {"problem": error.explain()}


def _last_beat(path: Path) -> dict[str, Any]:
    try:
        beat: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"problem": "it does not run: it has no heartbeat"}
    except (OSError, ValueError) as error:
        return {"problem": f"its heartbeat can't be read: {error}"}
    return beat
