"""Proves that nodes which were stopped together are at one height."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from ...chain.cometbft_answers import Height
from ...errors import RecoveryRefused
from ...validation import problems
from ..network.quorum import is_quorum
from ..requests import Object, Request
from .quiesce import listed


class StoppedNode(Request):
    """What a stopped node holds, and the newest height that its validator signed anything for."""

    height: Height
    app_hash: str = Field(max_length=64)
    signed: Height


def read_answers(answers: Mapping[str, Any]) -> tuple[dict[str, StoppedNode], dict[str, str]]:
    """Return the nodes that hosts told of, and by host what is wrong with the other answers."""
    nodes, unreadable = {}, {}
    for host, answer in answers.items():
        try:
            nodes[host] = StoppedNode.model_validate(answer)
        except ValidationError as error:
            unreadable[host] = problems(error)
    return nodes, unreadable


def assert_same_height(
    nodes: Mapping[str, StoppedNode],
    height: int | None = None,
    powers: Mapping[str, int] | None = None,
    total: int = 0,
    unreadable: Mapping[str, str] | None = None,
) -> Object:
    """Return the height that the nodes stopped at; raises RecoveryRefused where there is none.

    `unreadable` are further hosts, with what is wrong with their answers: each differs.

    Who has signed for the height above may have helped to make a block that others do not have. A
    node that differs is left out where the others have more than 2/3 of the `total` power: without
    their signatures there is no other block.
    """
    same = {
        host: node
        for host, node in nodes.items()
        if node.signed <= node.height and height in {None, node.height}
    }
    groups: dict[tuple[int, str], list[str]] = {}
    for host, node in same.items():
        groups.setdefault((node.height, node.app_hash), []).append(host)
    weights = powers or {}
    silent = {
        host: f"does not say what it holds ({reason})"
        for host, reason in (unreadable or {}).items()
    }
    for (reached, _), hosts in groups.items():
        power = sum(weights.get(host, 0) for host in hosts)
        if len(hosts) == len(nodes) + len(silent) or is_quorum(power, total):
            left_out = {host: _describe(node) for host, node in nodes.items() if host not in hosts}
            return {"height": reached, "left_out": left_out | silent}
    if silent:
        raise RecoveryRefused(
            f"{'; '.join(f'{host} {reason}' for host, reason in silent.items())}: the others have "
            "too little voting power without it",
            hint="start them and try again",
        )
    if not nodes:
        return {"height": 0, "left_out": {}}
    raise RecoveryRefused(
        f"the nodes stopped {_obstacle(nodes, height)}", hint="start them and try again"
    )


def _describe(node: StoppedNode) -> str:
    return f"it stopped at height {node.height} with app hash {node.app_hash}, signed {node.signed}"


def _obstacle(nodes: Mapping[str, StoppedNode], height: int | None) -> str:
    heights = {host: node.height for host, node in nodes.items()}
    hashes = {host: node.app_hash for host, node in nodes.items()}
    ahead = {host: node.signed for host, node in nodes.items() if node.signed > node.height}
    if len(set(heights.values())) > 1:
        return f"at different heights: {listed(heights)}"
    if height is not None and height not in heights.values():
        return f"not at height {height} any more: {listed(heights)}"
    if len(set(hashes.values())) > 1:
        return f"with different app hashes: {listed(hashes)}"
    return f"on their way to the next block, signed: {listed(ahead)}"
