"""Two validators that make blocks together, each with keys of its own that nobody else reads."""

import json
import os
import time
from pathlib import Path
from typing import Any

from testinfra.host import Host

HOME = "/var/lib/workflow-backend/node/.cometbft"
NETWORK = json.loads(
    (Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "network" / "network.json").read_text()
)


def rpc(host: Host, method: str) -> dict[str, Any]:
    ask = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:26657/{method}').read().decode())"
    result: dict[str, Any] = json.loads(host.check_output("python3 -c %s", ask))["result"]
    return result


def height(host: Host) -> int:
    return int(rpc(host, "status")["sync_info"]["latest_block_height"])


def test_blocks_come_though_nothing_happens(host: Host) -> None:
    before, deadline = height(host), time.monotonic() + 60
    while height(host) == before:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert int(rpc(host, "validators")["total"]) == 2


def test_a_host_has_its_own_identity_and_keeps_it_private(host: Host) -> None:
    own = NETWORK["hosts"][host.check_output("hostname")]
    assert rpc(host, "status")["node_info"]["id"] == own["node_id"]
    key = host.file(f"{HOME}/config/priv_validator_key.json")
    assert (key.user, key.mode) == ("workflow-node", 0o600)
    assert host.file("/var/lib/workflow-backend/node").mode == 0o700
    assert not host.file("/var/lib/workflow-backend/node/identity").exists


def test_app_and_cometbft_killed_together_come_back_to_the_chain(host: Host) -> None:
    before = height(host)
    host.check_output(
        "systemctl kill --signal=KILL workflow-backend-abci workflow-backend-cometbft"
    )
    deadline = time.monotonic() + 90
    while True:
        found = host.run(
            "python3 -c %s",
            "import json, urllib.request as u; print(json.load(u.urlopen("
            "'http://127.0.0.1:26657/status'))['result']['sync_info']['latest_block_height'])",
        )
        if found.rc == 0 and int(found.stdout) > before:
            break
        assert time.monotonic() < deadline, found.stderr
        time.sleep(0.5)


def test_only_the_host_with_an_index_has_one(host: Host) -> None:
    indexed = "true" if host.check_output("hostname") == "bookworm" else "false"
    assert host.file(f"{HOME}/config/xian.toml").contains(f"bds_enabled = {indexed}")
