"""What `workflow-backend upgrades` does, by the name of the action."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from ...errors import WorkflowError
from ..asking import Object, Request, parse
from . import gate, level, planning, quorum, report
from .nodes import Way, look, reached


class Network(Request):
    """The nodes of an inventory, and where the report is."""

    chain_id: str
    nodes: dict[str, Way]
    report: Path | None = None


class Planned(Network):
    """A change to plan."""

    change: planning.Plan


class Verb(Network):
    """Hosts to restart, stop or start."""

    verb: Literal["restart", "stop", "start"]
    hosts: list[str]


class Restarts(Network):
    """The programs that a deployment restarts on each host, and those that leave it."""

    programs: dict[str, list[str]]
    leaving: dict[str, list[str]] = Field(default_factory=dict)


class Host(Network):
    """A host that is about to be taken down."""

    host: str


class Gate(Network):
    """Hosts that have to be well again."""

    hosts: list[str]
    seconds: float = Field(gt=0)
    blocks: bool


class Level(Network):
    """Nodes that have to come to one height."""

    seconds: float = Field(gt=0)
    blocks: bool


class Stopped(Request):
    """Nodes that were stopped, and the height that they have to be at, if it is known."""

    rests: dict[str, level.Rest]
    height: int | None = None
    report: Path | None = None


class Note(Request):
    """Something to write down."""

    what: str
    told: Object
    report: Path


def plan(wanted: Planned) -> Object:
    """Plan a change of the release."""
    with reached(wanted.nodes) as ways:
        seen = asyncio.run(look(ways, wanted.chain_id))
    nodes = {host: one.as_dict() for host, one in seen.items()}
    return planning.plan(wanted.change, seen) | {"nodes": nodes}


def verb(wanted: Verb) -> Object:
    """Say what it means to restart, stop or start."""
    with reached(wanted.nodes) as ways:
        seen = asyncio.run(look(ways, wanted.chain_id))
    nodes = {host: one.as_dict() for host, one in seen.items()}
    return planning.verb(wanted.verb, wanted.hosts, seen) | {"nodes": nodes}


def restarts(wanted: Restarts) -> Object:
    """Say what a deployment restarts; the nodes are asked only where one of them is concerned."""
    touched = planning.with_a_node(wanted.programs) + planning.with_a_node(wanted.leaving)
    if not touched:
        return planning.restarts(wanted.programs, wanted.leaving, {})
    with reached(wanted.nodes) as ways:
        seen = asyncio.run(look(ways, wanted.chain_id))
    return planning.restarts(wanted.programs, wanted.leaving, seen)


def take_down(wanted: Host) -> Object:
    """Say what becomes of the chain without a host; refuses where it would stand still."""
    with reached(wanted.nodes) as ways:
        seen = asyncio.run(look(ways, wanted.chain_id))
    if wanted.host not in wanted.nodes:
        return {"host": wanted.host, "sentence": f"{wanted.host} has no node"}
    if all(one.powers is None for one in seen.values()):
        return {"host": wanted.host, "sentence": "no node answers: the chain stands still already"}
    found = quorum.require(wanted.host, seen)
    return {
        "host": wanted.host,
        "sentence": found.sentence(),
        "power": {"total": found.total, "left": found.left, "own": found.own},
        "nodes": {host: one.as_dict() for host, one in seen.items()},
    }


def well(wanted: Gate) -> Object:
    """Wait until hosts are well again."""
    hosts = [host for host in wanted.hosts if host in wanted.nodes]
    with reached(wanted.nodes) as ways:
        return asyncio.run(
            gate.wait(ways, wanted.chain_id, hosts, wanted.seconds, blocks=wanted.blocks)
        ) | {"hosts": wanted.hosts}


def rest(wanted: Level) -> Object:
    """Wait until all nodes are at one height."""
    with reached(wanted.nodes) as ways:
        return asyncio.run(level.wait(ways, wanted.chain_id, wanted.seconds, blocks=wanted.blocks))


def stopped(wanted: Stopped) -> Object:
    """Prove that all stopped nodes are at one height."""
    return level.require_one(wanted.rests, wanted.height)


def note(wanted: Note) -> Object:
    """Write down what a playbook did."""
    return {"what": wanted.what, **wanted.told}


ACTIONS: dict[str, tuple[Any, Callable[..., Object]]] = {
    "plan": (Planned, plan),
    "verb": (Verb, verb),
    "restarts": (Restarts, restarts),
    "take-down": (Host, take_down),
    "well": (Gate, well),
    "rest": (Level, rest),
    "stopped": (Stopped, stopped),
    "note": (Note, note),
}


def act(action: str, request: dict[str, Any]) -> Object:
    """Do what a request asks and write down what came of it; raises WorkflowError."""
    kind, run = ACTIONS[action]
    wanted = parse(kind, request, action)
    try:
        answer = run(wanted)
    except WorkflowError as error:
        report.add(wanted.report, action, {"refused": error.explain()})
        raise
    report.add(wanted.report, action, answer)
    return answer
