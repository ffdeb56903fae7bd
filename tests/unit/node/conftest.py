"""A network folder and what the role asks of `home`, made once by the product's own code."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from workflow_backend_node import network

REPO = Path(__file__).resolve().parents[3]
PROFILE = REPO / "roles" / "xian_node" / "vars" / "main" / "single-node-indexed.yml"


def network_request(directory: Path, **changes: Any) -> dict[str, Any]:
    return {
        "directory": str(directory),
        "chain_id": "unit-1",
        "hosts": {"alpha": 10, "beta": 10},
        "contracts": str(REPO / "contracts" / "genesis"),
        **changes,
    }


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of two validators; nobody changes it."""
    directory = tmp_path_factory.mktemp("founded") / "network"
    network.make(network_request(directory), check=False)
    return directory


@pytest.fixture
def home_request(founded: Path, tmp_path: Path) -> dict[str, Any]:
    """A request for alpha's home in `tmp_path`, with an identity of its own to be taken away."""
    public = json.loads((founded / "network.json").read_text())
    identity = tmp_path / "identity"
    identity.mkdir()
    for file in (founded / "hosts" / "alpha").iterdir():
        (identity / file.name).write_text(file.read_text())
    profile = yaml.safe_load(PROFILE.read_text())["_xian_node_single_node_indexed"]
    request = {
        "home": str(tmp_path / "node" / ".cometbft"),
        "identity": str(identity),
        "handed_over": True,
        "chain_id": "unit-1",
        "genesis_sha256": public["genesis_sha256"],
        "public_key": public["hosts"]["alpha"]["public_key"],
        "settings": {
            **profile,
            "moniker": "alpha",
            "app_socket": str(tmp_path / "abci.sock"),
            # Not where a development stack may be running.
            "rpc_address": "127.0.0.9:26657",
            "p2p_address": "127.0.0.9:26656",
            "p2p_external_address": "",
            "peers": [],
            "private_network": True,
            "metrics_address": "127.0.0.9:9108",
            "cometbft_metrics_address": "127.0.0.9:26660",
        },
    }
    return copy.deepcopy(request)
