"""Whether the chain goes on without some hosts.

Every node says who is a validator, and none has to be believed: what most of them say counts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ...errors import RecoveryRefused
from .node_status import NodeStatus, Statuses


@dataclass(frozen=True, slots=True)
class RemainingPower:
    """The voting power without some hosts: of all, of those that stay up, and their own.

    `down` are other hosts that are not up. `dissenting` name other validators than most.
    """

    hosts: tuple[str, ...]
    total: int
    remaining: int
    own: int
    down: tuple[str, ...]
    dissenting: tuple[str, ...] = ()

    @property
    def stands_still(self) -> bool:
        """Whether nobody can make a block: that takes more than 2/3 of the power."""
        return not is_quorum(self.remaining, self.total)

    @property
    def is_all(self) -> bool:
        """Whether the hosts have all the power, so that there is no other way."""
        return self.own == self.total

    def sentence(self) -> str:
        """Say it for people."""
        names = ", ".join(self.hosts)
        dissent = (
            f" ({', '.join(self.dissenting)} names other validators than the rest)"
            if self.dissenting
            else ""
        )
        if self.own == 0:
            return f"{names} is not a validator: the chain goes on{dissent}"
        if self.is_all:
            return f"no other validator than {names}: the chain stands still meanwhile{dissent}"
        power = f"{self.remaining} of {self.total} voting power is up"
        goes = "stands still" if self.stands_still else "goes on"
        return f"without {names} {power}: the chain {goes}{dissent}"


def is_quorum(power: int, total: int) -> bool:
    """Whether so much power of a total can make a block."""
    return 3 * power > 2 * total


def remaining_power(
    hosts: Collection[str], statuses: Statuses, mended: frozenset[str] = frozenset()
) -> RemainingPower:
    """Return the power that is left without some hosts; `mended` ones count as up by then.

    A validator of the inventory is up where its node answers and has caught up, any other where it
    signed one of the newest two blocks. Raises RecoveryRefused where no node answers, or where no
    view of who is a validator is that of most.
    """
    answering = [status for status in statuses.values() if status.powers is not None]
    if not answering:
        reasons = "; ".join(f"{status.host}: {status.problem}" for status in statuses.values())
        raise RecoveryRefused(
            f"no node answers, so nobody knows who is a validator ({reasons})",
            hint="bring them up: playbooks/start.yml, then playbooks/health.yml",
        )
    views = majority_view(answering)
    powers = views[0].powers or {}
    ours = {status.validator: status for status in statuses.values() if status.validator}
    own = {statuses[host].validator for host in hosts if host in statuses}
    up = {
        validator
        for validator in powers.keys() - ours.keys()
        if 2 * sum(_signs(validator, status) for status in views) > len(views)
    }
    up |= {validator for validator, status in ours.items() if status.is_up or status.host in mended}
    return RemainingPower(
        tuple(hosts),
        total=sum(powers.values()),
        remaining=sum(power for validator, power in powers.items() if validator in up - own),
        own=sum(powers.get(validator, 0) for validator in own),
        down=tuple(
            status.host
            for status in statuses.values()
            if not status.is_up and status.host not in hosts
        ),
        dissenting=tuple(status.host for status in answering if status.powers != powers),
    )


def _signs(validator: str, view: NodeStatus) -> bool:
    return validator in view.signers | view.earlier_signers


def majority_view(answering: Sequence[NodeStatus]) -> Sequence[NodeStatus]:
    """Return the nodes that name the validators that most name; raises RecoveryRefused.

    A node that catches up knows those of long ago, so it counts only where there is no other.
    """
    up = [status for status in answering if status.is_up] or answering
    groups: list[list[NodeStatus]] = []
    for status in up:
        same = next((group for group in groups if group[0].powers == status.powers), None)
        if same is None:
            groups.append([status])
        else:
            same.append(status)
    most = max(groups, key=len)
    if 2 * len(most) > len(up):
        return most
    views = "; ".join(_describe(group) for group in groups)
    raise RecoveryRefused(
        f"the nodes do not agree on who is a validator ({views})",
        hint="run this again where validators have just changed; else find out which of them is "
        "wrong, and leave it out of the inventory for this run",
    )


def _describe(group: Sequence[NodeStatus]) -> str:
    powers: Mapping[str, int] = group[0].powers or {}
    hosts = ", ".join(status.host for status in group)
    return f"{hosts}: {len(powers)} validators with a power of {sum(powers.values())}"


def require_quorum_without(
    host: str, statuses: Statuses, mended: frozenset[str] = frozenset()
) -> RemainingPower:
    """Return the power without a host; raises RecoveryRefused where the chain would stand still.

    A host that is down already takes nothing away, and a single validator has no other way.
    """
    power = remaining_power([host], statuses, mended)
    down = host not in statuses or not statuses[host].is_up
    if down or power.own == 0 or power.is_all or not power.stands_still:
        return power
    if power.down:
        raise RecoveryRefused(
            f"{power.sentence()}, which takes more than 2/3; not up: {', '.join(power.down)}",
            hint="bring those up first: playbooks/start.yml, then playbooks/health.yml",
        )
    raise RecoveryRefused(
        f"{power.sentence()}, which takes more than 2/3, and no more validators can be up",
        hint="stop all at once instead: for an upgrade -e upgrade_together=true, else "
        "playbooks/stop.yml, then playbooks/start.yml or playbooks/deploy.yml",
    )


def require_may_stop(hosts: Collection[str], statuses: Statuses) -> RemainingPower:
    """Return the power when hosts stop; raises RecoveryRefused where the others need theirs.

    Who stops every node wants the chain to stand still. A host that is down takes nothing away.
    """
    power = remaining_power(hosts, statuses)
    if statuses.keys() <= set(hosts) or not power.stands_still:
        return power
    going = [host for host in hosts if host in statuses and statuses[host].is_up]
    if remaining_power(going, statuses).own == 0:
        return power
    others = f"; not up: {', '.join(power.down)}" if power.down else ""
    raise RecoveryRefused(
        f"{power.sentence()}, which takes more than 2/3{others}",
        hint="stop all of them (without --limit), or bring up first what is not up "
        "(playbooks/start.yml); by hand a host stops whatever becomes of the chain "
        "(docs/upgrade.md)",
    )
