"""A host of one node, as the operations of a recovery see it."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from node_harness import Node
from processes import wait_until
from toolchain_harness import REPO
from xian_py import Wallet

CONTRACT = "con_job_workflow"
SOURCE = (REPO / "contracts" / f"{CONTRACT}.s.py").read_text()


class Host:
    """A node with the contract and an operator who asks for snapshots of it."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.tools = node.toolchain
        self.snapshots = node.folder / "snapshots"
        self.projection = node.folder / "projection.sqlite3"
        self.genesis = json.loads((node.folder / "network" / "network.json").read_text())[
            "genesis_sha256"
        ]
        self.extra: dict[str, str] = {}
        self._number = 0
        self.key_file = node.folder / "snapshot.key"
        wallet = Wallet()
        self.key = str(wallet.public_key)
        self.key_file.write_text(wallet.private_key)
        self.give(self.key_file)

    @property
    def programs(self) -> dict[str, str]:
        """What each step gets to know of the host."""
        return {
            "home": str(self.node.home),
            "node_python": self.tools["node_python"],
            "cometbft": self.tools["cometbft"],
            "postgres_bin": self.tools["postgres_bin"],
        }

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its programs."""
        return {
            "PATH": os.environ["PATH"],
            "XIAN_BDS_DSN": self.node.dsn,
            "XIAN_CHAIN_ID": self.node.chain_id,
            "XIAN_NODE_URL": self.node.url,
            "XIAN_WORKFLOW_PROJECTION_PATH": str(self.projection),
            **self.extra,
        }

    def command(self, *arguments: str) -> list[str]:
        """The command as the account runs it."""
        program = f"{self.tools['services_bin']}/workflow-backend"
        return [*self.tools.as_account, program, *arguments]

    def run(
        self, *arguments: str, request: dict[str, Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command with a request; whether it succeeds is the caller's to look at."""
        return subprocess.run(
            self.command(*arguments),
            input=json.dumps(request or {}),
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.node.folder,
            timeout=120,
            check=False,
        )

    def ask(self, action: str, request: dict[str, Any], *arguments: str) -> dict[str, Any]:
        """Ask for an action that must succeed."""
        done = self.run("snapshots", action, *arguments, request=request)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def refusal(self, action: str, request: dict[str, Any]) -> str:
        """Ask for an action that must be refused, in one line."""
        done = self.run("snapshots", action, request=request)
        assert done.returncode == 1, done.stdout
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        return line

    def make(self, **changes: Any) -> dict[str, Any]:
        """Make a snapshot, signed by the host's key."""
        request = {
            **self.programs,
            "directory": str(self.snapshots),
            "host": "alpha",
            "key_file": str(self.key_file),
        }
        return self.ask("make", request | changes)

    def request(self, made: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """What has to be verified of a snapshot."""
        return {
            "snapshot": made["snapshot"],
            "trust": {"hosts": {"alpha": self.key}},
            "chain_id": self.node.chain_id,
            "genesis_sha256": self.genesis,
            "postgres_bin": self.tools["postgres_bin"],
            **changes,
        }

    def restore(self, made: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """The same, to be restored."""
        return self.request(made) | self.programs | changes

    def forged(self, made: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
        """A copy of a snapshot whose manifest is changed, signed again by the trusted key."""
        folder = self.snapshots.with_name("forged") / name
        shutil.copytree(made["snapshot"], folder)
        manifest = json.loads((folder / "manifest.json").read_text()) | changes
        (folder / "manifest.json").write_text(json.dumps(manifest))
        (folder / "signatures.json").unlink()
        self.give(folder)
        request = {
            "snapshot": str(folder),
            "key_file": str(self.key_file),
            "chain_id": manifest["chain_id"],
            "genesis_sha256": manifest["genesis_sha256"],
            "host": manifest["host"],
        }
        self.ask("sign", request)
        return {"snapshot": str(folder)}

    def give(self, path: Path) -> None:
        """Let the account own a file, or all in a folder."""
        account = self.tools.account
        for one in (path, *path.rglob("*")):
            os.chown(one, account.pw_uid, account.pw_gid)

    def submit(self, count: int) -> None:
        """Put items on the chain, each in a block of its own."""
        for _ in range(count):
            self._number += 1
            item = {"item_id": f"item-{self._number}", "payload_uri": "urn:test"}
            receipt = self.node.broadcast(CONTRACT, "submit_item", item)
            assert receipt["status"] == 0, receipt["result"]

    def project(self) -> None:
        """Make the projection anew."""
        wait_until(self.node.index_level, 20, "an index that is level")
        done = self.run("projection", "rebuild")
        assert done.returncode == 0, done.stderr

    def verify_projection(self) -> dict[str, int]:
        """Compare projection, chain and index; return what was found."""
        done = self.run("projection", "verify")
        assert done.returncode == 0, done.stdout
        found: dict[str, int] = json.loads(done.stderr)
        return found

    def stop(self) -> None:
        """End the node's two programs, as a crash would."""
        self.node.kill("cometbft")
        self.node.kill("abci")

    def start(self) -> None:
        """Start them and wait until index and chain are level."""
        self.node.start("abci", "cometbft")
        self.node.wait_ready()

    def lose_state(self) -> None:
        """What a broken disk leaves of the app's state."""
        shutil.rmtree(self.node.home / "xian")

    def lose_index(self) -> None:
        """An empty database."""
        self.node.postgres("psql", "-c", "DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def ready(node: Node, items: int) -> Host:
    """A host whose chain has the contract and some items, with a projection of them."""
    host = Host(node)
    node.deploy(CONTRACT, SOURCE)
    host.submit(items)
    host.project()
    return host
