"""What `setup/toolchain.py` made, and the node's programs run with it."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
ROLES = REPO / "roles"


class Toolchain:
    """What `setup/toolchain.py` made."""

    def __init__(self) -> None:
        record: dict[str, Any] = json.loads((REPO / ".cache" / "toolchain.json").read_text())
        self.record = record
        self.account = pwd.getpwnam(record["account"])
        self.as_account = ["setpriv", "--pdeathsig", "KILL", "--"]
        if os.geteuid() == 0:
            group = str(self.account.pw_gid)
            self.as_account[1:1] = ["--reuid", record["account"], "--regid", group, "--init-groups"]

    def __getitem__(self, name: str) -> str:
        return str(self.record[name])

    def ask(self, program: str, request: dict[str, Any], *arguments: str) -> dict[str, Any]:
        """Ask one of the node's programs; raises `CalledProcessError`, its reason in `stderr`."""
        command = [*self.as_account, self["node_python"], "-m", f"workflow_backend_node.{program}"]
        done = subprocess.run(
            [*command, *arguments],
            input=json.dumps(request),
            check=True,
            capture_output=True,
            text=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def folder(self) -> Path:
        """A new folder that belongs to the account, with a path short enough for sockets."""
        folder = Path(tempfile.mkdtemp(prefix="node-", dir="/tmp"))
        os.chown(folder, self.account.pw_uid, self.account.pw_gid)
        return folder


def genesis_contracts(folder: Path) -> Path:
    """A copy of them where the account may read: it can't enter a clone in root's home."""
    copied = folder / "genesis-contracts"
    if not copied.exists():
        shutil.copytree(REPO / "contracts" / "genesis", copied)
        copied.chmod(0o755)
    return copied
