"""Releases of hosts: which one to go back to, and which may run side by side on one chain."""

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import Field

from ...errors import RecoveryRefused
from ..requests import Request

CONSENSUS = (
    "cometbft",
    *("xian-tech-abci", "xian-tech-accounts", "xian-tech-compiler-core", "xian-tech-contracting"),
    *("xian-tech-runtime-types", "xian-tech-vm-core", "xian-tech-zk"),
)
"""The packages that decide what a block does: nodes with different ones may disagree."""

type Versions = Mapping[str, str]

type Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$")]
"""A release's name: it comes from a host, and becomes part of a path."""

type Text = Annotated[str, Field(max_length=200)]


class InstalledReleases(Request):
    """The releases of a host with the versions in each, the current and the previous one.

    `compatible` has for each release those that it was declared to agree with when it was built.
    """

    current: Name | None
    previous: Name | None
    releases: dict[Name, dict[Text, Text]] = Field(max_length=100)
    compatible: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)


def differences(before: Versions, after: Versions) -> list[str]:
    """Name the differing versions that consensus depends on."""
    changed = [
        f"{name} {before.get(name, 'none')} -> {after.get(name, 'none')}"
        for name in CONSENSUS
        if before.get(name) != after.get(name)
    ]
    # Contracts are compiled with Python's own parser, which is another one in each minor release.
    old, new = (versions.get("python", "none") for versions in (before, after))
    return changed + [f"python {old} -> {new}"] * (_minor(old) != _minor(new))


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def incompatibilities(
    hosts: Mapping[str, InstalledReleases],
    target: str,
    versions: Versions,
    declared: Collection[str] = (),
) -> list[str]:
    """Name what differs between the hosts' releases and the target, of what consensus depends on.

    A release that the target is `declared` to agree with is left out. The later of two releases is
    built knowing the earlier, so on the way back the declaration of the host's own release counts.
    """
    names: dict[str, None] = {}
    for host in hosts.values():
        current = host.current
        if not current or current == target:
            continue
        declarations = (*declared, *host.compatible.get(target, ()))
        if current not in declarations and target not in host.compatible.get(current, ()):
            names |= dict.fromkeys(differences(host.releases.get(current, {}), versions))
    return list(names)


def before(hosts: Mapping[str, InstalledReleases]) -> str:
    """Return the release to go back to, the same for all; raises RecoveryRefused.

    After a host went back, its previous release is its current one: so a second run knows what the
    first one was for, whichever hosts it reached. All hosts that name a release have to name the
    same: none decides for the others.
    """
    left = {host.previous for host in hosts.values() if host.previous != host.current}
    candidates: Collection[str | None] = {
        host.previous
        for host in hosts.values()
        if host.current == host.previous or host.current not in left
    }
    target = next(iter(candidates)) if len(candidates) == 1 else None
    if target and all(target in {host.current, host.previous} for host in hosts.values()):
        return target
    named = "; ".join(
        f"{name}: current {host.current}, previous {host.previous}" for name, host in hosts.items()
    )
    raise RecoveryRefused(
        f"the hosts do not name one release to go back to ({named})",
        hint="name it: -e upgrade_to=ID",
    )


def require_installed(hosts: Mapping[str, InstalledReleases], target: str) -> Versions:
    """Return the versions of a release that every host has; raises RecoveryRefused.

    All hosts have to say the same of what consensus depends on: none decides for the others whether
    the release may run side by side with what they run.
    """
    missing = [name for name, host in hosts.items() if target not in host.releases]
    if missing:
        raise RecoveryRefused(
            f"release {target} is not on {', '.join(missing)}",
            hint="bring it there: playbooks/upgrade.yml -e release_file=dist/ID.json",
        )
    said = {name: host.releases[target] for name, host in hosts.items()}
    consensus = {name: _of_consensus(versions) for name, versions in said.items()}
    disputed = [part for part in (*CONSENSUS, "python") if _differ(consensus.values(), part)]
    if disputed:
        claims = "; ".join(
            f"{name}: {', '.join(f'{part} {versions.get(part, "none")}' for part in disputed)}"
            for name, versions in consensus.items()
        )
        raise RecoveryRefused(
            f"the hosts do not say the same of release {target} ({claims})",
            hint="find out which of them is wrong, and bring the release there again: "
            "playbooks/upgrade.yml -e release_file=dist/ID.json",
        )
    return next(iter(said.values()), {})


def _of_consensus(versions: Versions) -> Versions:
    return {part: versions[part] for part in (*CONSENSUS, "python") if part in versions}


def _differ(said: Collection[Versions], part: str) -> bool:
    return len({versions.get(part) for versions in said}) > 1
