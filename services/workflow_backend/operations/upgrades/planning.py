"""What a change of the release will do, host by host, or why it does nothing."""

from collections.abc import Collection, Mapping, Sequence

from pydantic import Field

from ...errors import RecoveryRefused
from ..asking import Object, Request
from . import quorum, releases
from .nodes import Seen
from .releases import Installed

NODE = frozenset({"abci", "cometbft"})
"""The programs without which a validator signs nothing."""


class Plan(Request):
    """A change that is wanted: to a release, or where none is named, back to the one before."""

    hosts: dict[str, Installed]
    wanted: str = ""
    back: bool = False
    # What the build says of a release that hosts do not have yet.
    versions: dict[str, str] = Field(default_factory=dict)
    compatible_with: tuple[str, ...] = ()
    declared: bool = False
    together: bool = False
    # How many hosts Ansible works on at once.
    forks: int = 5


def plan(wanted: Plan, seen: Mapping[str, Seen]) -> Object:
    """Return release, way, order and what happens on each host; raises RecoveryRefused."""
    new = [name for name, host in wanted.hosts.items() if host.current is None]
    if new:
        raise RecoveryRefused(
            f"there is no release on {', '.join(new)}", hint="deploy it first: playbooks/deploy.yml"
        )
    release, versions = _target(wanted)
    moved = [name for name, host in wanted.hosts.items() if host.current != release]
    together = _together_now(wanted, moved, seen)
    if wanted.together and moved and _answered(seen) and wanted.forks < len(wanted.hosts):
        raise RecoveryRefused(
            f"{len(wanted.hosts)} hosts can't stop together with {wanted.forks} forks",
            hint=f"give ansible-playbook -f {len(wanted.hosts)}",
        )
    if not wanted.together and not wanted.declared:
        _require_alike(wanted, release, versions)
    order = _order(wanted.hosts, seen)
    what = {
        name: "its release changes" if name in moved else "has the release, is looked at"
        for name in order
    }
    told = _together(order, moved) if together else _in_turn(order, seen, what)
    return {
        "release": release,
        "together": together,
        # Releases that may disagree on a block may change at one height alone.
        "one_height": wanted.together and bool(moved),
        "order": order,
        "moved": moved,
        "from": {name: _from(host, release) for name, host in wanted.hosts.items()},
        "report": [_headline(wanted.hosts, release, moved, together), *told],
    }


def verb(name: str, hosts: Sequence[str], seen: Mapping[str, Seen]) -> Object:
    """Return the order of a restart, a stop or a start, and what happens on each host.

    Raises RecoveryRefused where the chain would stand still for a restart, or for a stop that
    leaves nodes behind.
    """
    order = _order(hosts, seen)
    if name == "restart":
        told = _in_turn(
            order, seen, dict.fromkeys(order, "its programs stop in order and start again")
        )
    elif name == "stop":
        told = [
            f"{host}: its services finish what they do and stop, then its node" for host in order
        ]
        told += [quorum.require_stop(order, seen).sentence()] if _answered(seen) else []
    else:
        told = [
            f"{host}: its node starts, then its services, where they do not run" for host in order
        ]
    return {"order": order, "together": name != "restart", "report": told}


type Programs = Mapping[str, Sequence[str]]
"""Programs by their names on each host."""


def restarts(programs: Programs, leaving: Programs, seen: Mapping[str, Seen]) -> Object:
    """Return which hosts a deployment takes in turn, and what it stops and restarts on each host.

    In turn go those whose node it restarts, once what leaves has left. Raises RecoveryRefused where
    the chain would stand still for one of them.
    """
    told = []
    for host, names in leaving.items():
        if names:
            why = ""
            if host in with_a_node(leaving) and _answered(seen):
                why = f"; {_require_leave(host, seen).sentence()}"
                address = seen[host].address if host in seen else ""
                seen = {**seen, host: Seen(host, problem="it leaves", address=address)}
            told.append(f"{host}: stops and removes {', '.join(names)}, defined no more{why}")
    order = _order(with_a_node(programs), seen)
    what = {host: f"restarts {', '.join(names)}" for host, names in programs.items() if names}
    told += [f"{host}: {text}" for host, text in what.items() if host not in order]
    told += _in_turn(order, seen, {host: f"in turn, {what[host]}" for host in order})
    return {"order": order, "together": False, "report": told}


def with_a_node(programs: Programs) -> list[str]:
    """Return the hosts whose node is among the programs."""
    return [host for host, names in programs.items() if not NODE.isdisjoint(names)]


def _require_leave(host: str, seen: Mapping[str, Seen]) -> quorum.Without:
    found = quorum.require(host, seen)
    if found.alone and found.own:
        raise RecoveryRefused(
            f"{host} has all the voting power: without its node there is no chain",
            hint="leave it in the group xian_node, or stop all for good: playbooks/stop.yml",
        )
    return found


def _target(wanted: Plan) -> tuple[str, Mapping[str, str]]:
    if not wanted.back:
        return wanted.wanted, wanted.versions
    release = wanted.wanted or releases.before(wanted.hosts)
    return release, releases.require_installed(wanted.hosts, release)


def _together_now(wanted: Plan, moved: Collection[str], seen: Mapping[str, Seen]) -> bool:
    """Tell whether all go at once: as it is wanted, or because one alone would wait for the others.

    A run of that kind that was cut short has moved the releases and left the nodes stopped, so what
    runs counts here and not what is current. Raises RecoveryRefused where nodes are left out.
    """
    left_out = [name for name in seen if name not in wanted.hosts]
    down = [name for name, one in seen.items() if not one.up]
    if wanted.together and left_out:
        raise RecoveryRefused(
            "upgrade_together changes the release of all nodes at one height, and this run leaves "
            f"out {', '.join(left_out)}: it would go on with another one",
            hint="run it without --limit",
        )
    if wanted.together:
        return bool(moved or down)
    if left_out or len(seen) < 2:
        return False
    return not _answered(seen) or (not moved and quorum.without([], seen).stands_still)


def _require_alike(wanted: Plan, release: str, versions: Mapping[str, str]) -> None:
    unlike = releases.unlike(wanted.hosts, release, versions, wanted.compatible_with)
    if unlike:
        raise RecoveryRefused(
            f"release {release} has another app, VM or CometBFT ({', '.join(unlike)}): nodes that "
            "run the one and the other at once may disagree on a block",
            hint="stop all at one height: -e upgrade_together=true; or, where it is known that "
            "they agree, build it with --consensus-compatible-with ID or give "
            "-e upgrade_consensus_compatible=true",
        )


def _order(hosts: Collection[str], seen: Mapping[str, Seen]) -> list[str]:
    """Those that are down come first: each of them that is mended leaves the chain safer."""
    down = [name for name in hosts if name in seen and not seen[name].up]
    return down + [name for name in hosts if name not in down]


def _from(host: Installed, release: str) -> str:
    """The release to go back to where the change fails; empty where this run changes nothing.

    What was not moved is not moved back, whatever fails then. The way back of what was moved leads
    to what it ran before, and that has been compared with the release as the way on.
    """
    found = host.current if host.current != release else None
    return found if found and found in host.releases else ""


def _in_turn(order: Sequence[str], seen: Mapping[str, Seen], what: Mapping[str, str]) -> list[str]:
    told, mended = [], frozenset[str]()
    for name in order:
        why = f"; {_why(name, seen, mended)}" if name in seen else ""
        told.append(f"{name}: {what[name]}{why}")
        mended |= {name}
    return told


def _why(name: str, seen: Mapping[str, Seen], mended: frozenset[str]) -> str:
    if not _answered(seen):
        return "no node answers: the chain stands still already"
    prefix = "" if seen[name].up else "first, because its node is down; "
    return prefix + quorum.require(name, seen, mended).sentence()


def _answered(seen: Mapping[str, Seen]) -> bool:
    return any(one.powers is not None for one in seen.values())


def _together(order: Sequence[str], moved: Collection[str]) -> list[str]:
    changes = "stops with all others at one height, its release changes, starts with them"
    return [f"{name}: {changes if moved else 'starts with all others'}" for name in order]


def _headline(
    hosts: Mapping[str, Installed], release: str, moved: Sequence[str], together: bool
) -> str:
    if not moved:
        way = "all are brought to run it at once" if together else "each is brought to run it"
        return f"every host has release {release}; {way} and looked at"
    earlier = dict.fromkeys(str(hosts[name].current) for name in moved)
    way = "all at once, the chain stands still meanwhile" if together else "one host at a time"
    return f"from release {', '.join(earlier)} to {release}, {way}"
