"""Pauses of claims and the retention of ended items: what the operator tells the contract."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ..errors import WorkflowError
from ..settings import Settings
from ..times import rfc3339
from .operator_client import OperatorClient


class NotPaused(WorkflowError):
    """Claims of this kind are not paused."""

    hint = "see what is: workflow-backend operator pauses"


async def pause(settings: Settings, kind: str, reason: str, seconds: float) -> dict[str, Any]:
    """Pause claims of a kind, `*` for all, with the operator's key; return all pauses.

    It ends by itself after so many seconds, with 0 only by `resume`. What workers hold goes on.
    Raises WorkflowError where the contract has no pause, or refuses.
    """
    until = int(time.time() + seconds) if seconds else 0
    return await _call(
        settings,
        f"pause claims of {kind}",
        "pause_claims",
        {"kind": kind, "reason": reason, "until": until},
    )


async def resume(settings: Settings, kind: str) -> dict[str, Any]:
    """End a pause, with the operator's key; return those that are left. Raises NotPaused."""
    return await _call(settings, f"resume claims of {kind}", "resume_claims", {"kind": kind})


async def pauses(settings: Settings) -> dict[str, Any]:
    """Return the pauses by kind, and after how many seconds ended items may be archived."""
    async with OperatorClient.open(settings) as client:
        return await _describe(client)


async def set_retention(settings: Settings, seconds: float) -> dict[str, Any]:
    """Let ended items be archived after so many seconds, with 0 never; return as `pauses`."""
    return await _call(
        settings, "set the retention", "set_retention", {"seconds": int(seconds)}, "archive"
    )


async def _call(
    settings: Settings,
    what: str,
    function: str,
    arguments: dict[str, Any],
    capability: str = "pause",
) -> dict[str, Any]:
    async with OperatorClient.open(settings) as client:
        await client.node.require({capability})
        if function == "resume_claims" and arguments["kind"] not in await client.node.pauses():
            raise NotPaused
        await client.call(what, client.node.contract, function, arguments)
        return await _describe(client)


async def _describe(client: OperatorClient) -> dict[str, Any]:
    found = await client.node.pauses()
    shown = {
        kind: asdict(pause)
        | {"until": rfc3339(datetime.fromtimestamp(pause.until, UTC)) if pause.until else None}
        for kind, pause in found.items()
    }
    return {
        "changed": client.changed,
        "pauses": shown,
        "retention_seconds": await client.node.retention(),
    }
