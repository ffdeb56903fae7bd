"""Whether the chain goes on without some hosts.

Each node tells who is a validator, and none has to be believed: what most of them tell counts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ...errors import RecoveryRefused
from .nodes import Seen


@dataclass(frozen=True, slots=True)
class Without:
    """The chain without some hosts: the power of all, of those that stay up, and their own."""

    hosts: tuple[str, ...]
    total: int
    left: int
    own: int
    down: tuple[str, ...]
    odd: tuple[str, ...] = ()

    @property
    def stands_still(self) -> bool:
        """Whether nobody can make a block meanwhile: it takes more than 2/3 of the power."""
        return 3 * self.left <= 2 * self.total

    @property
    def alone(self) -> bool:
        """Whether they have all the power, so that there is no other way."""
        return self.own == self.total

    def sentence(self) -> str:
        """Say it for people."""
        names = ", ".join(self.hosts)
        odd = f" ({', '.join(self.odd)} names other validators than the rest)" if self.odd else ""
        if self.own == 0:
            return f"{names} is no validator: the chain goes on{odd}"
        if self.alone:
            return f"no other validator than {names}: the chain stands still meanwhile{odd}"
        power = f"{self.left} of {self.total} voting power is up"
        goes = "stands still" if self.stands_still else "goes on"
        return f"without {names} {power}: the chain {goes}{odd}"


def without(
    hosts: Collection[str], seen: Mapping[str, Seen], mending: frozenset[str] = frozenset()
) -> Without:
    """Tell what is left without some hosts; those of `mending` are taken as up again by then.

    A validator of the inventory is up where its node answers and has caught up; any other one
    where it signed the newest block. Raises RecoveryRefused where no node answers, and where they
    name different validators and none of these views is that of most.
    """
    answering = [one for one in seen.values() if one.powers is not None]
    if not answering:
        reasons = "; ".join(f"{one.host}: {one.problem}" for one in seen.values())
        raise RecoveryRefused(
            f"no node answers, so nobody knows who is a validator ({reasons})",
            hint="bring them up: playbooks/start.yml, then playbooks/health.yml",
        )
    views = _most(answering)
    powers = views[0].powers or {}
    odd = [one.host for one in answering if one.powers != powers]
    ours = {one.address: one for one in seen.values() if one.address}
    own = {seen[host].address for host in hosts if host in seen}
    up = {
        address
        for address in powers.keys() - ours.keys()
        if 2 * sum(address in one.signed for one in views) > len(views)
    }
    up |= {address for address, one in ours.items() if one.up or one.host in mending}
    silent = [one.host for one in seen.values() if not one.up and one.host not in hosts]
    return Without(
        tuple(hosts),
        total=sum(powers.values()),
        left=sum(power for address, power in powers.items() if address in up - own),
        own=sum(powers.get(address, 0) for address in own),
        down=tuple(silent),
        odd=tuple(odd),
    )


def _most(answering: Sequence[Seen]) -> Sequence[Seen]:
    """Return the nodes that name the validators that most name; raises RecoveryRefused.

    A node that catches up knows those of long ago, and is asked only where there is no other.
    """
    up = [one for one in answering if one.up] or answering
    groups: list[list[Seen]] = []
    for one in up:
        same = next((group for group in groups if group[0].powers == one.powers), None)
        if same is None:
            groups.append([one])
        else:
            same.append(one)
    most = max(groups, key=len)
    if 2 * len(most) > len(up):
        return most
    told = "; ".join(
        f"{', '.join(one.host for one in group)}: {len(group[0].powers or {})} validators with a "
        f"power of {sum((group[0].powers or {}).values())}"
        for group in groups
    )
    raise RecoveryRefused(
        f"the nodes do not agree on who is a validator ({told})",
        hint="run this again where validators have just changed; else find out which of them is "
        "wrong, and leave it out of the inventory for this run",
    )


def require(host: str, seen: Mapping[str, Seen], mending: frozenset[str] = frozenset()) -> Without:
    """Tell what is left without a host; raises RecoveryRefused where the chain would stand still.

    A host that is down already takes nothing away, and a single validator has no other way.
    """
    found = without([host], seen, mending)
    down = host not in seen or not seen[host].up
    if down or found.own == 0 or found.alone or not found.stands_still:
        return found
    if found.down:
        raise RecoveryRefused(
            f"{found.sentence()}, which takes more than 2/3; not up: {', '.join(found.down)}",
            hint="bring those up first: playbooks/start.yml, then playbooks/health.yml",
        )
    raise RecoveryRefused(
        f"{found.sentence()}, which takes more than 2/3, and no more validators can be up",
        hint="stop all at once instead: for an upgrade -e upgrade_together=true, else "
        "playbooks/stop.yml, then playbooks/start.yml or playbooks/deploy.yml",
    )


def require_stop(hosts: Collection[str], seen: Mapping[str, Seen]) -> Without:
    """Tell what is left when some hosts stop; raises RecoveryRefused where the others need them.

    To stop every node is to want that the chain stands still. One that is down takes nothing away.
    """
    found = without(hosts, seen)
    if seen.keys() <= set(hosts) or not found.stands_still:
        return found
    going = [host for host in hosts if host in seen and seen[host].up]
    if without(going, seen).own == 0:
        return found
    others = f"; not up: {', '.join(found.down)}" if found.down else ""
    raise RecoveryRefused(
        f"{found.sentence()}, which takes more than 2/3{others}",
        hint="stop all of them (without --limit), or bring up first what is not up "
        "(playbooks/start.yml); by hand a host stops whatever becomes of the chain "
        "(docs/upgrade.md)",
    )
