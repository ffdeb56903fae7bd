"""Several nodes of one network, as processes of this machine."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from node_harness import Node
from processes import free_port
from toolchain_harness import Toolchain, genesis_contracts


class Network:
    """The folder of a network, as `prepare-network` makes it for some hosts."""

    def __init__(self, toolchain: Toolchain, chain_id: str, **request: Any) -> None:
        self.toolchain = toolchain
        self.chain_id = chain_id
        self.folder = toolchain.folder()
        self.public: dict[str, Any] = toolchain.ask(
            "network",
            {
                "directory": str(self.folder / "network"),
                "chain_id": chain_id,
                "contracts": str(genesis_contracts(self.folder)),
                **request,
            },
        )["network"]

    @property
    def genesis(self) -> Path:
        return self.folder / "network" / "genesis.json"

    @property
    def operator_key(self) -> str:
        """The founder's, where the network was founded."""
        operator = json.loads((self.folder / "network" / "operator.json").read_text())
        return str(operator["private_key"])

    def identity(self, host: str) -> Path:
        return self.folder / "network" / "hosts" / host

    def close(self) -> None:
        shutil.rmtree(self.folder)


class Member(Node):
    """A node of one host of a network; `address` is where its peers reach it."""

    def __init__(self, network: Network, host: str, peers: list[str], **settings: Any) -> None:
        port = free_port()
        super().__init__(
            network.toolchain,
            network.chain_id,
            p2p_address=f"127.0.0.1:{port}",
            peers=network.public["peers"] + peers,
            **settings,
        )
        self.public = network.public["hosts"][host]
        self.address = f"{self.public['node_id']}@127.0.0.1:{port}"
        self.network = network
        self.host = host

    def _make(self) -> None:
        identity = self.folder / "network" / "hosts" / "node"
        shutil.copytree(self.network.identity(self.host), identity)
        for path in (identity, *identity.parents[:2], *identity.iterdir()):
            os.chown(path, self.toolchain.account.pw_uid, self.toolchain.account.pw_gid)
        network = self.network.public | {"hosts": {"node": self.public}}
        self.toolchain.ask("home", self.home_request(network))
        if self.indexed:
            self._make_cluster()

    def state(self) -> int:
        """The height that its validator signed last."""
        path = self.home / "data" / "priv_validator_state.json"
        return int(json.loads(path.read_text())["height"])
