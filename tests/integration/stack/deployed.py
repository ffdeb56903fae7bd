"""The whole development stack, deployed by the playbooks in a folder and on ports of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from node_client import NodeClient
from processes import free_port, wait_until
from toolchain_harness import REPO, Toolchain

SERVICES = ("handlers", "projector", "processor", "api")
# What a shell has after `. .dev/env` of another stack: nothing of it is this one's.
STRAY = {
    "XIAN_WALLET_PRIVATE_KEY": "5" * 64,
    "XIAN_NODE_URL": "http://127.0.0.1:1/stray",
    "XIAN_CHAIN_ID": "stray-1",
    "XIAN_WORKFLOW_API_URL": "http://127.0.0.1:1/stray",
    "XIAN_WORKFLOW_PROJECTION_PATH": "/stray/projection.sqlite3",
}
PROGRAMS = ("postgres", "abci", "cometbft", *SERVICES)


class Deployed(NodeClient):
    """What `make dev` makes; `play` runs a playbook on it, `api_url` is its API's address."""

    def __init__(self, toolchain: Toolchain) -> None:
        self.toolchain = toolchain
        self.folder = toolchain.folder()
        self.run = self.folder / "run"
        self.data = self.folder / "data"
        self.report = self.folder / "health.json"
        self.chain_id = "deployed-1"
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        port = free_port()
        self.api_url = f"http://127.0.0.1:{port}"
        self.variables: dict[str, Any] = {
            "toolchain": {
                **{name: text for name, text in toolchain.record.items() if name != "versions"},
                "data": str(self.data),
                "run": str(self.run),
            },
            "xian_network_directory": str(self.folder / "network"),
            "xian_network_chain_id": self.chain_id,
            "xian_node_rpc_address": address,
            "xian_node_p2p_address": f"127.0.0.1:{free_port()}",
            "xian_node_metrics_address": f"127.0.0.1:{free_port()}",
            "xian_node_cometbft_metrics_address": f"127.0.0.1:{free_port()}",
            "workflow_contract_node_url": self.url,
            "workflow_services_node_url": self.url,
            "workflow_services_api_port": port,
            "workflow_services_report": str(self.report),
            "upgrade_report": str(self.folder / "changes.json"),
            "workflow_services_shell_file": str(self.folder / "env"),
        }
        for folder in (self.data, self.run):
            folder.mkdir(mode=0o700)
            os.chown(folder, toolchain.account.pw_uid, toolchain.account.pw_gid)

    def play(
        self, playbook: str, *arguments: str, **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a playbook of this repository, with variables beside those of the stack."""
        file = self.folder / "variables.json"
        file.write_text(json.dumps(self.variables | variables))
        command = [str(Path(sys.executable).with_name("ansible-playbook"))]
        command += ["-i", "inventories/dev", "-e", f"@{file}", f"playbooks/{playbook}.yml"]
        return subprocess.run(
            [*command, *arguments],
            cwd=REPO,
            capture_output=True,
            text=True,
            check=False,
            env={
                **os.environ,
                **STRAY,
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_CONFIG": str(REPO / "ansible.cfg"),
            },
        )

    def deploy_all(self) -> None:
        """Run `dev.yml`; the operator's key is known afterwards."""
        done = self.play("dev")
        assert done.returncode == 0, done.stdout + done.stderr
        operator = json.loads((self.folder / "network" / "operator.json").read_text())
        self.operator_key = operator["private_key"]

    def pid(self, name: str) -> int:
        """The process id of a program, 0 while it is down."""
        configuration = self.data / "supervisor" / "supervisord.conf"
        command = [*self.toolchain.as_account, self.toolchain["supervisorctl"]]
        command += ["-c", str(configuration), "pid", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return int(done.stdout or 0)

    def pids(self) -> dict[str, int]:
        """The process id of each program."""
        return {name: self.pid(name) for name in PROGRAMS}

    def supervisor(self) -> int:
        """The process id of supervisord, 0 where it left none."""
        file = self.run / "supervisord.pid"
        return int(file.read_text()) if file.exists() else 0

    def processes(self) -> list[int]:
        """Every process that works in the stack's folder."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(self.folder):
                    found.append(int(entry.name))
            except OSError:  # it has just ended, or it is another account's
                continue
        return found

    def close(self) -> None:
        """End everything; fail where something outlives its supervisor."""
        pid = self.supervisor()
        if pid in self.processes():
            os.kill(pid, signal.SIGTERM)
        try:
            wait_until(lambda: not self.processes(), 90, "every process gone")
        finally:
            for left in self.processes():
                os.kill(left, signal.SIGKILL)
            shutil.rmtree(self.folder)
