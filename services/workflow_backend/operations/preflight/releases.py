"""Releases: there is one for each host, and none comes here that has to come another way."""

from collections.abc import Iterator, Mapping
from typing import Any

from .findings import Finding
from .inventory import Inventory

CHECK = "release"

FIRST = "workflow-backend-postgres"
"""It is there before the node is: a deployment that got no further has brought nothing to run."""


def check(inventory: Inventory, *, change: bool) -> Iterator[Finding]:
    """Find hosts without a release and, unless this is to change it, those that run another one."""
    for name, release in inventory.releases.items():
        host = inventory.hosts[name]
        given = host.text("release_id") or release.name
        if release.missing:
            what = f"there is no release: {release.missing}"
            yield Finding(CHECK, (name,), what, "do this: make release")
        elif not change and host.machine and _another(host.machine, given):
            runs = host.machine["runs"]
            yield Finding(
                CHECK,
                (name,),
                f"it runs release {runs}, and release {given} is given",
                "another release comes by playbooks/upgrade.yml; "
                f"this one is deployed again with -e release_file=dist/{runs}.json",
            )


def _another(seen: Mapping[str, Any], given: str) -> bool:
    """Tell whether a host runs another release; one that has not yet run anything may get it."""
    return bool(seen["runs"] not in {"", given} and set(seen["programs"]) - {FIRST})
