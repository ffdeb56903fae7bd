"""The state of things in a few figures; what can't be had says why."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import heartbeat
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..client import connect, explained
from ..errors import WorkflowError, WrongChain
from ..settings import Settings
from ..times import rfc3339
from .desired_state import DesiredState

ANSWER_SECONDS = 5.0


async def status(settings: Settings) -> dict[str, Any]:
    """Return the chain and what this host has: index, items by status, each service's heartbeat."""
    expected = DesiredState.load(settings.environment)
    reads: dict[str, Awaitable[dict[str, Any]]] = {}
    async with Rpc(settings.node_url) as rpc:
        node = Node(rpc, settings.contract)
        reads["chain"] = _or_reason(_chain(node, settings.chain_id))
        if expected.index:
            reads["index"] = _or_reason(_index(node))
        if "api" in expected.services or "XIAN_WORKFLOW_API_URL" in settings.environment:
            reads["items"] = _or_reason(asyncio.to_thread(_items, settings))
        found: dict[str, Any] = dict(zip(reads, await asyncio.gather(*reads.values()), strict=True))
    for name, path in expected.services.items():
        found.setdefault("services", {})[name] = _last_beat(heartbeat.path(path, name))
    return found


def _items(settings: Settings) -> dict[str, Any]:
    with connect(settings.environment, ANSWER_SECONDS) as client, explained():
        served = client.health()
        serves = served["network"], served["workflow_contract"]
        if serves != (settings.chain_id, settings.contract):
            raise WrongChain(
                f"the API at {client.url} serves {serves[1]} on {serves[0]}, "
                f"not {settings.contract} on {settings.chain_id}",
                hint="check XIAN_WORKFLOW_API_URL",
            )
        return dict(client.summary())


async def _chain(node: Node, chain_id: str) -> dict[str, Any]:
    return (await node.require_chain(chain_id)).model_dump() | {"contract": node.contract}


async def _index(node: Node) -> dict[str, Any]:
    return asdict(await node.index_status())


async def _or_reason(read: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    try:
        return await asyncio.wait_for(read, ANSWER_SECONDS)
    except TimeoutError:
        return {"problem": f"no answer in {ANSWER_SECONDS:g} s"}
    except WorkflowError as error:
        return {"problem": error.explain()}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return {"problem": f"its answer can't be read: {error!r}"}


def _last_beat(path: Path) -> dict[str, Any]:
    try:
        beat = heartbeat.read(path)
    except WorkflowError as error:
        return {"problem": error.explain()}
    if beat is None:
        return {"problem": "it does not run: it has no heartbeat"}
    at = rfc3339(datetime.fromtimestamp(beat["at"], UTC), "seconds")
    age = round(max(0.0, time.time() - beat["at"]), 1)
    return beat | {"at": at, "age_seconds": age}
