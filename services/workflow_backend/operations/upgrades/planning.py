"""What a change of the release will do, host by host, or why it does nothing."""

from collections.abc import Collection, Mapping, Sequence

from pydantic import Field

from ...errors import RecoveryRefused
from ..network import quorum
from ..network.node_status import NodeStatus, Statuses
from ..requests import Object, Request
from . import releases
from .releases import InstalledReleases

NODE = frozenset({"abci", "cometbft"})
"""The programs without which a validator signs nothing."""


class ReleaseChange(Request):
    """A change of the release: to `target`, or where none is named, back to the one before.

    `versions` and `compatible_with` are what the build says of a release that hosts do not have
    yet. `forks` is how many hosts Ansible works on at once.
    """

    hosts: dict[str, InstalledReleases]
    target: str = ""
    back: bool = False
    versions: dict[str, str] = Field(default_factory=dict)
    compatible_with: tuple[str, ...] = ()
    declared: bool = False
    together: bool = False
    forks: int = 5


def plan_release(change: ReleaseChange, statuses: Statuses) -> Object:
    """Return release, order of the hosts and what happens on each; raises RecoveryRefused."""
    new = [name for name, host in change.hosts.items() if host.current is None]
    if new:
        raise RecoveryRefused(
            f"there is no release on {', '.join(new)}", hint="deploy it first: playbooks/deploy.yml"
        )
    release, versions = _target(change)
    moved = [name for name, host in change.hosts.items() if host.current != release]
    together = _together_now(change, moved, statuses)
    if change.together and moved and _any_answers(statuses) and change.forks < len(change.hosts):
        raise RecoveryRefused(
            f"{len(change.hosts)} hosts can't stop together with {change.forks} forks",
            hint=f"give ansible-playbook -f {len(change.hosts)}",
        )
    if not change.together and not change.declared:
        _require_compatible(change, release, versions)
    order = _order(change.hosts, statuses)
    what = {
        name: "its release changes" if name in moved else "has the release, is checked"
        for name in order
    }
    lines = _together(order, moved) if together else _in_turn(order, statuses, what)
    return {
        "release": release,
        "together": together,
        # Releases that may disagree on a block may change at one height alone.
        "one_height": change.together and bool(moved),
        "order": order,
        "moved": moved,
        "from": {name: _from(host, release) for name, host in change.hosts.items()},
        "report": [_headline(change.hosts, release, moved, together), *lines],
    }


def plan_verb(verb: str, hosts: Sequence[str], statuses: Statuses) -> Object:
    """Return the order of a restart, a stop or a start, and what happens on each host.

    Raises RecoveryRefused where the chain would stand still for a restart, or for a stop that
    leaves nodes behind.
    """
    order = _order(hosts, statuses)
    if verb == "restart":
        lines = _in_turn(
            order, statuses, dict.fromkeys(order, "its programs stop in order and start again")
        )
    elif verb == "stop":
        lines = [
            f"{host}: its services finish what they do and stop, then its node" for host in order
        ]
        lines += (
            [quorum.require_may_stop(order, statuses).sentence()] if _any_answers(statuses) else []
        )
    else:
        lines = [
            f"{host}: its node starts, then its services, where they do not run" for host in order
        ]
    return {"order": order, "together": verb != "restart", "report": lines}


type Programs = Mapping[str, Sequence[str]]
"""Programs by their names on each host."""


def plan_restarts(programs: Programs, leaving: Programs, statuses: Statuses) -> Object:
    """Return which hosts a deployment takes in turn, and what it stops and restarts on each host.

    In turn go the nodes that it restarts, once what leaves has left. Raises RecoveryRefused where
    the chain would stand still for one of them.
    """
    lines = []
    for host, names in leaving.items():
        if names:
            why = ""
            if host in with_a_node(leaving) and _any_answers(statuses):
                why = f"; {_require_may_leave(host, statuses).sentence()}"
                validator = statuses[host].validator if host in statuses else ""
                statuses = {
                    **statuses,
                    host: NodeStatus(host, problem="it leaves", validator=validator),
                }
            lines.append(f"{host}: stops and removes {', '.join(names)}, no longer defined{why}")
    order = _order(with_a_node(programs), statuses)
    what = {}
    for host, names in programs.items():
        others = [name for name in names if name not in NODE]
        lines += [f"{host}: restarts {', '.join(others)}"] * bool(others)
        what[host] = f"in turn, restarts {', '.join(name for name in names if name in NODE)}"
    lines += _in_turn(order, statuses, what)
    return {"order": order, "together": False, "report": lines}


def with_a_node(programs: Programs) -> list[str]:
    """Return the hosts whose node is among the programs."""
    return [host for host, names in programs.items() if not NODE.isdisjoint(names)]


def _require_may_leave(host: str, statuses: Statuses) -> quorum.RemainingPower:
    power = quorum.require_quorum_without(host, statuses)
    if power.is_all and power.own:
        raise RecoveryRefused(
            f"{host} has all the voting power: without its node there is no chain",
            hint="leave it in the group xian_node, or stop all for good: playbooks/stop.yml",
        )
    return power


def _target(change: ReleaseChange) -> tuple[str, Mapping[str, str]]:
    if not change.back:
        return change.target, change.versions
    release = change.target or releases.before(change.hosts)
    return release, releases.require_installed(change.hosts, release)


def _together_now(change: ReleaseChange, moved: Collection[str], statuses: Statuses) -> bool:
    """Whether all hosts change at once: by request, or because one alone would wait for the others.

    What runs counts, not the current release: such a run that was cut short has moved the releases
    and left the nodes stopped. Raises RecoveryRefused where nodes are left out.
    """
    left_out = [name for name in statuses if name not in change.hosts]
    down = [name for name, status in statuses.items() if not status.is_up]
    if change.together and left_out:
        raise RecoveryRefused(
            "upgrade_together changes the release of all nodes at one height, and this run leaves "
            f"out {', '.join(left_out)}: it would go on with another one",
            hint="run it without --limit",
        )
    if change.together:
        if moved and not change.declared:
            _require_all_validators(statuses)
        return bool(moved or down)
    if left_out or len(statuses) < 2:
        return False
    return not _any_answers(statuses) or (
        not moved and quorum.remaining_power([], statuses).stands_still
    )


def _require_all_validators(statuses: Statuses) -> None:
    """Raise RecoveryRefused where others have voting power: they would keep the earlier release."""
    answering = [status for status in statuses.values() if status.powers is not None]
    if not answering:
        return
    powers = quorum.majority_view(answering)[0].powers or {}
    ours = {status.validator for status in statuses.values()}
    foreign = sum(power for validator, power in powers.items() if validator not in ours)
    if foreign:
        raise RecoveryRefused(
            f"{foreign} of {sum(powers.values())} voting power is of validators that this "
            "inventory does not name: they would go on with another release",
            hint="name their hosts, so that all change at one height; or, where it is known that "
            "the releases agree, -e upgrade_consensus_compatible=true",
        )


def _require_compatible(change: ReleaseChange, release: str, versions: Mapping[str, str]) -> None:
    differences = releases.incompatibilities(
        change.hosts, release, versions, change.compatible_with
    )
    if differences:
        raise RecoveryRefused(
            f"release {release} has another app, VM or CometBFT ({', '.join(differences)}): nodes "
            "that run the one and the other at once may disagree on a block",
            hint="stop all at one height: -e upgrade_together=true; or, where it is known that "
            "they agree, build it with --consensus-compatible-with ID or give "
            "-e upgrade_consensus_compatible=true",
        )


def _order(hosts: Collection[str], statuses: Statuses) -> list[str]:
    """Put hosts that are down first: the chain is safer with each that is up again."""
    down = [name for name in hosts if name in statuses and not statuses[name].is_up]
    return down + [name for name in hosts if name not in down]


def _from(host: InstalledReleases, release: str) -> str:
    """Return the release to go back to when the change fails; empty where this run changes nothing.

    A host that was not moved is not moved back, whatever fails. One that was goes back to what it
    ran before, which was compared with the release already.
    """
    earlier = host.current if host.current != release else None
    return earlier if earlier and earlier in host.releases else ""


def _in_turn(order: Sequence[str], statuses: Statuses, what: Mapping[str, str]) -> list[str]:
    lines, mended = [], frozenset[str]()
    for name in order:
        why = f"; {_why(name, statuses, mended)}" if name in statuses else ""
        lines.append(f"{name}: {what[name]}{why}")
        mended |= {name}
    return lines


def _why(name: str, statuses: Statuses, mended: frozenset[str]) -> str:
    if not _any_answers(statuses):
        return "no node answers: the chain stands still already"
    prefix = "" if statuses[name].is_up else "first, because its node is down; "
    return prefix + quorum.require_quorum_without(name, statuses, mended).sentence()


def _any_answers(statuses: Statuses) -> bool:
    return any(status.powers is not None for status in statuses.values())


def _together(order: Sequence[str], moved: Collection[str]) -> list[str]:
    changes = "stops with all others at one height, its release changes, starts with them"
    return [f"{name}: {changes if moved else 'starts with all others'}" for name in order]


def _headline(
    hosts: Mapping[str, InstalledReleases], release: str, moved: Sequence[str], together: bool
) -> str:
    if not moved:
        way = "all start with it at once and are" if together else "each is made to run it and is"
        return f"every host has release {release}; {way} checked"
    earlier = dict.fromkeys(str(hosts[name].current) for name in moved)
    way = "all at once, the chain stands still meanwhile" if together else "one host at a time"
    return f"from release {', '.join(earlier)} to {release}, {way}"
