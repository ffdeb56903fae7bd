"""Four validators, two of which serve, and what tests ask of a node and do to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from . import REPO
from .host import Host
from .network import Network

SUITES = {"v1": "bookworm", "v2": "forky", "v3": "bookworm", "v4": "forky"}
SERVING = ("v1", "v2")
GROUPS = {"xian_node": tuple(SUITES), "postgres": SERVING, "workflow_services": SERVING}
HOME = "/var/lib/workflow-backend/node/.cometbft"
NODE = "workflow-backend-abci workflow-backend-cometbft"
EVERYTHING = (
    "/opt/workflow-backend /var/lib/workflow-backend /etc/workflow-backend "
    "/etc/systemd/system/workflow-backend-* /etc/sysusers.d/workflow-backend*"
)
LOSE_EVERYTHING = f"""
systemctl kill --signal=KILL 'workflow-backend-*'
systemctl stop 'workflow-backend-*'
rm -rf {EVERYTHING}
systemctl daemon-reload
"""
RPC = "http://127.0.0.1:26657"
_STATUS = (
    f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{RPC}/status\").read().decode())'"
)


@contextmanager
def four(
    make_hosts: Callable[..., AbstractContextManager[Network]], name: str, folder: Path
) -> Iterator[Network]:
    """Deploy them; their network and reports are in a folder of the control machine."""
    with make_hosts(name, SUITES, groups=GROUPS) as hosts:
        hosts.variables = {
            "xian_network_chain_id": f"{name}-1",
            "xian_network_directory": str(folder / "network"),
            "xian_network_unencrypted": True,
            "xian_node_p2p_address": "{{ ansible_host }}:26656",
            "xian_node_index": "{{ 'postgres' in group_names }}",
            "xian_recovery_report": str(folder / "report.json"),
            # Of the last build, though another one ends meanwhile.
            "release_file": str((REPO / "dist" / "latest.json").resolve()),
        }
        hosts.play("prepare-network").ok()
        hosts.play("deploy").ok()
        yield hosts


def status(host: Host) -> dict[str, Any]:
    """What its node says of itself."""
    answer: dict[str, Any] = json.loads(host.output(_STATUS))["result"]
    return answer


def height(host: Host) -> int:
    """Its newest block."""
    return int(status(host)["sync_info"]["latest_block_height"])


def signed(host: Host) -> int:
    """The newest block that its validator has signed a vote for."""
    return int(json.loads(host.output(f"cat {HOME}/data/priv_validator_state.json"))["height"])


def starts(host: Host, units: str = NODE) -> str:
    """What is another one after each start of the units."""
    return host.output(f"systemctl show --property=InvocationID --value {units}")


def eventually(question: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait until the answer is yes."""
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def steps(hosts: Network) -> list[dict[str, Any]]:
    """What the playbooks of recovery have noted."""
    report = Path(hosts.variables["xian_recovery_report"])
    found: list[dict[str, Any]] = json.loads(report.read_text())["steps"]
    return found
