"""Statuses of nodes for the tests."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from workflow_backend.operations.network.node_status import NodeStatus

NAMES = ("a", "b", "c", "d")


def node(host: str, powers: dict[str, int], signed: Iterable[str], **more: Any) -> NodeStatus:
    """A node that is up, its address its name in capitals."""
    given: dict[str, Any] = {
        "height": 7,
        "app_hash": "H7",
        "catching_up": False,
    }
    return NodeStatus(
        host, validator=host.upper(), powers=powers, signers=frozenset(signed), **(given | more)
    )


def nodes(
    *names: str, down: Iterable[str] = (), foreign: int = 0, **more: Any
) -> dict[str, NodeStatus]:
    """The nodes of an inventory, all of them validators with a power of 10."""
    powers = {name.upper(): 10 for name in names} | {f"F{n}": 10 for n in range(foreign)}
    return {
        name: NodeStatus(name, problem="no connection", validator=name.upper())
        if name in down
        else node(name, powers, powers, **more)
        for name in names
    }


def changed(statuses: dict[str, NodeStatus], **hosts: dict[str, Any]) -> dict[str, NodeStatus]:
    """Statuses of which some hosts say something else."""
    return statuses | {
        name: dataclasses.replace(statuses[name], **more) for name, more in hosts.items()
    }
