"""What every node of a network says of itself and of the chain."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...chain.cometbft import CometBft
from ...errors import NodeRefused, RecoveryRefused, WorkflowError
from .endpoints import Endpoints, NodeEndpoint


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node; `problem` says why it does not answer, or is not the node that it has to be.

    `validator` is the address of its key. `powers` are the validators that it names, `signers`
    those that signed its newest block, `earlier_signers` those of the block before. Of the newest
    block a node knows no more votes than it took to make it; slow ones are known by the next.
    """

    host: str
    problem: str = ""
    height: int = 0
    app_hash: str = ""
    catching_up: bool = True
    validator: str = ""
    waiting_transactions: int = 0
    powers: Mapping[str, int] | None = None
    signers: frozenset[str] = frozenset()
    earlier_signers: frozenset[str] = frozenset()

    @property
    def is_up(self) -> bool:
        """Whether it takes part: it answers and has caught up."""
        return not self.problem and not self.catching_up

    def as_dict(self) -> dict[str, Any]:
        """Return what a report has of it."""
        if self.problem:
            return {"problem": self.problem}
        return {
            "height": self.height,
            "app_hash": self.app_hash,
            "catching_up": self.catching_up,
            "power": (self.powers or {}).get(self.validator, 0),
        }


type Statuses = Mapping[str, NodeStatus]
"""By host."""


async def read_statuses(endpoints: Endpoints, chain_id: str) -> dict[str, NodeStatus]:
    """Ask all nodes at once."""
    statuses = await asyncio.gather(
        *(_read(host, endpoint, chain_id) for host, endpoint in endpoints.items())
    )
    return {status.host: status for status in statuses}


async def _read(host: str, endpoint: NodeEndpoint, chain_id: str) -> NodeStatus:
    if endpoint.problem:
        return NodeStatus(host, problem=endpoint.problem, validator=endpoint.validator)
    try:
        async with CometBft.of_peer(endpoint.url) as node:
            return await _ask(host, endpoint, node, chain_id)
    except WorkflowError as error:
        return NodeStatus(host, problem=str(error), validator=endpoint.validator)


async def _ask(host: str, endpoint: NodeEndpoint, node: CometBft, chain_id: str) -> NodeStatus:
    status = await node.status()
    if status.chain_id != chain_id:
        raise RecoveryRefused(f"it is on chain {status.chain_id!r}, not {chain_id!r}")
    if endpoint.validator and status.validator != endpoint.validator:
        raise RecoveryRefused(
            f"it is validator {status.validator}, network.json gives the host the key of "
            f"{endpoint.validator}"
        )
    waiting, commit, powers, earlier = await asyncio.gather(
        node.waiting_transactions(),
        node.commit(),
        node.validator_powers(),
        _signers(node, status.height - 1),
    )
    return NodeStatus(
        host,
        height=status.height,
        app_hash=status.app_hash,
        catching_up=status.catching_up,
        validator=status.validator,
        waiting_transactions=waiting,
        powers=powers,
        signers=commit.signers,
        earlier_signers=earlier,
    )


async def _signers(node: CometBft, height: int) -> frozenset[str]:
    try:
        return (await node.commit(height)).signers if height > 0 else frozenset()
    except NodeRefused:  # it began with the state of a later block
        return frozenset()
