"""Releases on hosts: which one to go back to, and which may run beside each other on one chain."""

from collections.abc import Collection, Mapping
from typing import Annotated

from pydantic import Field

from ...errors import RecoveryRefused
from ..asking import Request

CONSENSUS = (
    "cometbft",
    *("xian-tech-abci", "xian-tech-accounts", "xian-tech-compiler-core", "xian-tech-contracting"),
    *("xian-tech-runtime-types", "xian-tech-vm-core", "xian-tech-zk"),
)
"""What decides together what a block does: nodes with different ones may disagree."""

type Versions = Mapping[str, str]

type Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$")]
"""A release's: a host tells it, and it is part of a path."""

type Text = Annotated[str, Field(max_length=200)]


class Installed(Request):
    """What a host has: its releases with the versions in each, the current and the one before.

    `compatible` has what each of them was declared at its build to agree with on every block.
    """

    current: Name | None
    previous: Name | None
    releases: dict[Name, dict[Text, Text]] = Field(max_length=100)
    compatible: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)


def differences(before: Versions, after: Versions) -> list[str]:
    """Say which versions that consensus hangs on differ."""
    found = [
        f"{name} {before.get(name, 'none')} -> {after.get(name, 'none')}"
        for name in CONSENSUS
        if before.get(name) != after.get(name)
    ]
    # Contracts are compiled with Python's own parser, which is another one in each minor release.
    old, new = (versions.get("python", "none") for versions in (before, after))
    return found + [f"python {old} -> {new}"] * (_minor(old) != _minor(new))


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def unlike(
    hosts: Mapping[str, Installed], wanted: str, versions: Versions, declared: Collection[str] = ()
) -> list[str]:
    """Say what consensus hangs on and the hosts' releases have otherwise than the wanted one.

    Those that the wanted one is `declared` to agree with are left out. The later one of two is
    built knowing the other, so what a host's own release declares counts as well: the way back.
    """
    found: dict[str, None] = {}
    for host in hosts.values():
        current = host.current
        if not current or current == wanted:
            continue
        declarations = (*declared, *host.compatible.get(wanted, ()))
        if current not in declarations and wanted not in host.compatible.get(current, ()):
            found |= dict.fromkeys(differences(host.releases.get(current, {}), versions))
    return list(found)


def before(hosts: Mapping[str, Installed]) -> str:
    """Return the release to go back to, the same for all; raises RecoveryRefused.

    A host that went back has its release as the previous one too: so a second run knows what the
    first one was about, whichever hosts it reached. All hosts that name one have to name the same:
    none decides alone for the others.
    """
    left = {host.previous for host in hosts.values() if host.previous != host.current}
    found: Collection[str | None] = {
        host.previous
        for host in hosts.values()
        if host.current == host.previous or host.current not in left
    }
    target = next(iter(found)) if len(found) == 1 else None
    if target and all(target in {host.current, host.previous} for host in hosts.values()):
        return target
    told = "; ".join(
        f"{name}: current {host.current}, previous {host.previous}" for name, host in hosts.items()
    )
    raise RecoveryRefused(
        f"the hosts do not name one release to go back to ({told})",
        hint="name it: -e upgrade_to=ID",
    )


def require_installed(hosts: Mapping[str, Installed], wanted: str) -> Versions:
    """Return the versions of a release that every host has; raises RecoveryRefused."""
    missing = [name for name, host in hosts.items() if wanted not in host.releases]
    if missing:
        raise RecoveryRefused(
            f"release {wanted} is not on {', '.join(missing)}",
            hint="bring it there: playbooks/upgrade.yml -e release_file=dist/ID.json",
        )
    return next(iter(hosts.values())).releases[wanted]
