"""Nodes and releases as the tests want them."""

from collections.abc import Iterable
from typing import Any

from workflow_backend.operations.upgrades.nodes import Seen
from workflow_backend.operations.upgrades.releases import Installed

NAMES = ("a", "b", "c", "d")
VERSIONS = {"cometbft": "v1", "xian-tech-abci": "1.0", "python": "3.14.8", "uvicorn": "1"}


def node(host: str, powers: dict[str, int], signed: Iterable[str], **more: Any) -> Seen:
    """A node that is up, its address its name in capitals."""
    told: dict[str, Any] = {
        "chain_id": "unit-1",
        "height": 7,
        "app_hash": "H7",
        "catching_up": False,
    }
    return Seen(
        host, address=host.upper(), powers=powers, signed=frozenset(signed), **(told | more)
    )


def nodes(*names: str, down: Iterable[str] = (), foreign: int = 0, **more: Any) -> dict[str, Seen]:
    """The nodes of an inventory, all of them validators with a power of 10."""
    powers = {name.upper(): 10 for name in names} | {f"F{n}": 10 for n in range(foreign)}
    return {
        name: Seen(name, problem="no connection", address=name.upper())
        if name in down
        else node(name, powers, powers, **more)
        for name in names
    }


def host(current: str | None, previous: str | None = None, **versions: str) -> Installed:
    """A host with its releases."""
    names = {name for name in (current, previous) if name}
    return Installed(
        current=current,
        previous=previous,
        releases=dict.fromkeys(names, VERSIONS | versions),
    )
