"""Requests to the double-sign guard about host a, and what lying peers answer to it."""

from typing import Any

from workflow_backend.operations.network.report import run_action
from workflow_backend.operations.recovery.actions import ACTIONS

from .fake_chain import CHAIN, KEYS

type Ways = dict[str, dict[str, str]]

DOWN = {"b": {"url": "http://127.0.0.1:1"}}

FAR_AHEAD = {
    "status": {"sync_info": {"latest_block_height": str(10**11)}},
    "validators": {"validators": [], "total": "0"},
}


def ask(
    peers: Ways, action: str = "double-sign-guard", *, check: bool = False, **more: Any
) -> dict[str, Any]:
    request = {"chain_id": CHAIN, "host": "a", "keys": KEYS, "peers": peers}
    return run_action(ACTIONS, action, request | more, check=check)


def hiding(height: int) -> dict[str, Any]:
    """The answers of a peer that hides every signature and all voting power."""
    return {
        "validators": {"validators": [], "total": "0"},
        "commit": {"signed_header": {"commit": {"signatures": []}}},
        "status": {"sync_info": {"latest_block_height": str(height)}},
    }
