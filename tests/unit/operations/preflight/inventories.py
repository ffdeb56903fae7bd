"""A made-up inventory in which nothing is wrong, to spoil one thing of at a time."""

from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from workflow_backend.operations.preflight import check, control_files
from workflow_backend.operations.preflight.disks import GIB
from workflow_backend.operations.preflight.findings import Finding, Level, merged
from workflow_backend.operations.preflight.inventory import Host, Inventory, Network, Release
from workflow_backend.operations.preflight.machines import Control

REPO = Path(__file__).parents[4]
ROLES = REPO / "roles"
VARS = yaml.safe_load((ROLES / "preflight/vars/main.yml").read_text())
PREFIXES = VARS["_preflight_prefixes"]
CATALOGUE = control_files.read_catalogue(ROLES, VARS["_preflight_variables"])

GROUPS = ("postgres", "xian_node", "workflow_services")

NOW = 1_800_000_000.0
CONTROL = Control(NOW + 2, "x86_64")
HOME = "/var/lib/workflow-backend/node/.cometbft"
RELEASE, DATA = "/opt/workflow-backend", "/var/lib/workflow-backend"
BUILT = Release("0.1.0-1", 2 * GIB)
NO_HOME = {"chain_id": "", "genesis_sha256": "", "validator": "", "fee_mode": "", "problem": ""}


def key(of: str) -> str:
    """Return 64 hexadecimal digits that are no other's."""
    return sha256(of.encode()).hexdigest()


def variables(name: str) -> dict[str, Any]:
    """Return what a host of the inventory sets."""
    return {
        "ansible_host": f"192.0.2.{len(name)}",
        "xian_network_directory": "/net",
        "xian_network_chain_id": "net-1",
        "xian_node_home": HOME,
        "xian_node_p2p_address": "192.0.2.1:26656",
        "workflow_services_keys": {
            "processor": key(f"processor {name}"), "api": key(f"api {name}")
        },
    }  # fmt: skip


def machine(**other: Any) -> dict[str, Any]:
    """Return what the module machine_facts says of a machine that is as it has to be."""
    return {
        "time": NOW + 1,
        "asked_at": NOW,
        "synchronised": True,
        "os": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)"},
        "machine": "x86_64",
        "root": True,
        "init": "systemd",
        "systemd": 252,
        "memory": 4 * GIB,
        "release": RELEASE,
        "data": DATA,
        "releases": [],
        "current": "missing",
        "runs": "",
        "programs": [],
        "deployed": False,
        "places": {RELEASE: place(1), DATA: place(2)},
        "listeners": [],
        "home": dict(NO_HOME),
        **other,
    }


def place(device: int, **other: Any) -> dict[str, Any]:
    """Return what the module says of a folder that is not there yet, with room for it."""
    room = {"free": 50 * GIB, "inodes": 10**7, "inodes_free": 10**6}
    return {"entries": [], "device": device, **room, **other}


def host(
    name: str = "one",
    /,
    seen: Any = None,
    *,
    lost: Any = (),
    catalogue: Any = CATALOGUE,
    trouble: Any = "",
    closed: Any = (),
    validator: Any = "",
    groups: Any = GROUPS,
    **other: Any,
) -> Host:
    """Make a host; `other` are variables that differ, `lost` those that can't be evaluated.

    The rest is as in Host, `seen` is its machine.
    """
    values = {n: v for n, v in (variables(name) | other).items() if n not in lost}
    names = frozenset(values) | set(lost)
    return Host(name, catalogue, frozenset(groups), names, values, closed, seen, trouble, validator)


def network(*names: str, **other: Any) -> Network:
    """Return a network that knows some hosts."""
    hosts = {
        name: {"public_key": key(f"validator {name}"), "node_id": key(name)[:40], "power": 10}
        for name in names
    }
    wallets = {
        f"{service}-{name}": key(f"{service}-{name}")
        for name in names
        for service in ("processor", "api")
    }
    known = {"chain_id": "net-1", "genesis_sha256": key("genesis"), "hosts": hosts}
    return Network(**(known | {"operator": key("operator"), "wallets": wallets} | other))


def preflight(
    *hosts: Host,
    networks: Mapping[str, Any] | None = None,
    files: Mapping[str, str] | None = None,
    play: tuple[str, ...] = (),
    release: Release = BUILT,
    absent: Collection[str] = (),
    rehearsal: bool = False,
    change: bool = False,
    **read: Any,
) -> list[Finding]:
    """Judge an inventory, of which `files` are the texts of files by their names.

    `read` is what else was read on the control machine, as in Inventory.
    """
    names = [host.name for host in hosts]
    inventory = Inventory(
        {host.name: host for host in hosts},
        frozenset(play or names),
        {"/net": network(*names)} if networks is None else networks,
        {Path(name): text for name, text in (files or {}).items()},
        {host.name: release for host in hosts if host.systemd},
        frozenset(absent),
        **read,
    )
    return merged(
        check(inventory, CATALOGUE, PREFIXES, CONTROL, rehearsal=rehearsal, change=change)
    )


def only(findings: list[Finding]) -> Finding:
    """Return the one finding that there is."""
    assert len(findings) == 1, findings
    return findings[0]


def problem(findings: list[Finding], check: str) -> str:
    """Return the words of the one finding, a problem of that check."""
    finding = only(findings)
    assert (finding.check, finding.level) == (check, Level.PROBLEM)
    return finding.what


def warning(findings: list[Finding], check: str) -> str:
    """Return the words of the one finding, a warning of that check."""
    finding = only(findings)
    assert (finding.check, finding.level) == (check, Level.WARNING)
    return finding.what
