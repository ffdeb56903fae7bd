"""The actions of `workflow-backend upgrades`, by name. All of them run on the control machine."""

import asyncio
from functools import partial
from typing import Any, Literal

from pydantic import Field

from ..network import quorum
from ..network.endpoints import NodeAddress, open_endpoints
from ..network.node_status import NodeStatus, read_statuses
from ..network.report import Actions, Note, Reported, note, run_action
from ..requests import Object
from . import planning
from .quiesce import quiesce
from .stopped_nodes import assert_same_height, read_answers
from .wait_healthy import wait_healthy


class Network(Reported):
    """The nodes of an inventory."""

    chain_id: str
    nodes: dict[str, NodeAddress]

    def statuses(self) -> dict[str, NodeStatus]:
        """Ask all nodes what they say of themselves and of the chain."""
        with open_endpoints(self.nodes) as endpoints:
            return asyncio.run(read_statuses(endpoints, self.chain_id))


class PlanRelease(Network):
    """A change of the release to plan."""

    change: planning.ReleaseChange


class PlanVerb(Network):
    """Hosts to restart, stop or start."""

    verb: Literal["restart", "stop", "start"]
    hosts: list[str]


class PlanRestarts(Network):
    """The programs that a deployment restarts on each host, and those that leave it."""

    programs: dict[str, list[str]]
    leaving: dict[str, list[str]] = Field(default_factory=dict)


class CheckQuorum(Network):
    """A host that is about to be taken down."""

    host: str


class WaitHealthy(Network):
    """Hosts that have to be healthy again."""

    hosts: list[str]
    seconds: float = Field(gt=0)
    blocks: bool


class Quiesce(Network):
    """Nodes that have to come to one height."""

    seconds: float = Field(gt=0)
    blocks: bool


class AssertSameHeight(Reported):
    """What hosts say of their stopped nodes, and the height that they have to be at, if known.

    `powers` and `total` are what `quiesce` returned: with them a node that differs can be left out.
    """

    nodes: dict[str, Any]
    height: int | None = None
    powers: dict[str, int] = Field(default_factory=dict)
    total: int = 0


def _as_dicts(statuses: dict[str, NodeStatus]) -> dict[str, Any]:
    return {host: status.as_dict() for host, status in statuses.items()}


def plan(request: PlanRelease, *, check: bool) -> Object:
    """Plan a change of the release."""
    del check
    statuses = request.statuses()
    return planning.plan_release(request.change, statuses) | {"nodes": _as_dicts(statuses)}


def plan_verb(request: PlanVerb, *, check: bool) -> Object:
    """Plan a restart, a stop or a start."""
    del check
    statuses = request.statuses()
    planned = planning.plan_verb(request.verb, request.hosts, statuses)
    return planned | {"nodes": _as_dicts(statuses)}


def plan_restarts(request: PlanRestarts, *, check: bool) -> Object:
    """Plan which programs a deployment restarts, in which order."""
    del check
    touched = planning.with_a_node(request.programs) + planning.with_a_node(request.leaving)
    statuses = request.statuses() if touched else {}
    return planning.plan_restarts(request.programs, request.leaving, statuses)


def check_quorum(request: CheckQuorum, *, check: bool) -> Object:
    """Check that the chain goes on without a host; refuses if it would stand still."""
    del check
    host = request.host
    if host not in request.nodes:
        return {"host": host, "sentence": f"{host} has no node"}
    statuses = request.statuses()
    if all(status.powers is None for status in statuses.values()):
        return {"host": host, "sentence": "no node answers: the chain stands still already"}
    power = quorum.require_quorum_without(host, statuses)
    return {
        "host": host,
        "sentence": power.sentence(),
        "power": {"total": power.total, "left": power.remaining, "own": power.own},
        "nodes": _as_dicts(statuses),
    }


def healthy(request: WaitHealthy, *, check: bool) -> Object:
    """Wait until the nodes of hosts are healthy again."""
    del check
    hosts = [host for host in request.hosts if host in request.nodes]
    with open_endpoints(request.nodes) as endpoints:
        waited = asyncio.run(
            wait_healthy(endpoints, request.chain_id, hosts, request.seconds, blocks=request.blocks)
        )
    return waited | {"hosts": request.hosts}


def quiet(request: Quiesce, *, check: bool) -> Object:
    """Wait until all nodes are at one height and no transaction waits."""
    del check
    with open_endpoints(request.nodes) as endpoints:
        return asyncio.run(
            quiesce(endpoints, request.chain_id, request.seconds, blocks=request.blocks)
        )


def same_height(request: AssertSameHeight, *, check: bool) -> Object:
    """Check that all stopped nodes are at one height with one app hash."""
    del check
    nodes, unreadable = read_answers(request.nodes)
    return assert_same_height(nodes, request.height, request.powers, request.total, unreadable)


ACTIONS: Actions = {
    "plan": (PlanRelease, plan),
    "plan-verb": (PlanVerb, plan_verb),
    "plan-restarts": (PlanRestarts, plan_restarts),
    "check-quorum": (CheckQuorum, check_quorum),
    "wait-healthy": (WaitHealthy, healthy),
    "quiesce": (Quiesce, quiet),
    "assert-same-height": (AssertSameHeight, same_height),
    "note": (Note, note),
}

act = partial(run_action, ACTIONS)
"""Run an action by its name."""
