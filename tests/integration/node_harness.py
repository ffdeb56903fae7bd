"""Real nodes for tests: PostgreSQL, the app and CometBFT, in a temporary folder and on free ports.

Made by the product's own programs and from the product's own profile. As root they run as the
toolchain's unprivileged account. When the test process ends, however it ends, the kernel ends them
too.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import yaml
from jinja2 import Template
from node_client import NodeClient
from processes import children, descendants, exists, free_port, wait_until
from toolchain_harness import ROLES, Toolchain, genesis_contracts

PROGRAMS = ("postgres", "abci", "cometbft")


class Node(NodeClient):
    """A node in a folder of its own; `settings` replaces values of `single-node-indexed`.

    `dsn` is the index's database, `home` the node's home.
    """

    def __init__(self, toolchain: Toolchain, chain_id: str, **settings: Any) -> None:
        self.toolchain = toolchain
        self.chain_id = chain_id
        self.folder = toolchain.folder()
        self.home = self.folder / "node" / ".cometbft"
        self.rpc_address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.rpc_address}"
        self.metrics_url = f"http://127.0.0.1:{free_port()}/metrics"
        self.dsn = f"postgresql:///xian?host={self.folder}&user={toolchain['account']}"
        self.app_module = "workflow_backend_node.app"
        self.environment: dict[str, dict[str, str]] = {}  # by program, for its next start
        self.indexed = bool(settings.get("index", True))
        self._settings = settings
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._make()
            self.start(*PROGRAMS)
            self.wait_ready()
        except BaseException as error:
            for name in self._processes:
                error.add_note(f"--- {name}\n{self.log(name)[-1500:]}")
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make(self) -> None:
        network = self.toolchain.ask(
            "network",
            {
                "directory": str(self.folder / "network"),
                "chain_id": self.chain_id,
                "hosts": {"node": 10},
                "contracts": str(genesis_contracts(self.folder)),
            },
        )["network"]
        operator = json.loads((self.folder / "network" / "operator.json").read_text())
        self.operator_key = operator["private_key"]
        self.operator_address: str = operator["public_key"]
        self.toolchain.ask("home", self.home_request(network))
        self._make_cluster()

    def _make_cluster(self) -> None:
        self.toolchain.ask(
            "cluster",
            {
                "directory": str(self.folder / "postgres"),
                "programs": self.toolchain["postgres_bin"],
                "database": "xian",
                "configuration": self._postgres_configuration(),
            },
        )

    def home_request(self, network: dict[str, Any]) -> dict[str, Any]:
        """What the role asks of `workflow_backend_node.home`."""
        profile = yaml.safe_load(
            (ROLES / "xian_node" / "vars" / "main" / "single-node-indexed.yml").read_text()
        )["_xian_node_single_node_indexed"]
        return {
            "home": str(self.home),
            "identity": str(self.folder / "network" / "hosts" / "node"),
            "handed_over": True,
            "chain_id": self.chain_id,
            "genesis_sha256": network["genesis_sha256"],
            "public_key": network["hosts"]["node"]["public_key"],
            "settings": {
                **profile,
                "moniker": "node",
                "app_socket": str(self.folder / "abci.sock"),
                "rpc_address": self.rpc_address,
                "p2p_address": f"127.0.0.1:{free_port()}",
                "p2p_external_address": "",
                "peers": [],
                "private_network": True,
                "metrics_address": self.metrics_url.removeprefix("http://").removesuffix(
                    "/metrics"
                ),
                "cometbft_metrics_address": f"127.0.0.1:{free_port()}",
                **self._settings,
            },
        }

    def _postgres_configuration(self) -> str:
        role = ROLES / "postgres"
        defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
        template = Template((role / "templates" / "postgresql.conf.j2").read_text())
        text = template.render(**defaults | {"postgres_run": str(self.folder)})
        return f"{text}\n"

    def command(self, name: str) -> list[str]:
        """The command that the roles give to the program."""
        module, *arguments = {
            "postgres": (
                *("workflow_backend_node.database", self.toolchain["postgres_bin"]),
                str(self.folder / "postgres"),
            ),
            "abci": (self.app_module, str(self.home)),
            "cometbft": ("workflow_backend_node.comet", self.toolchain["cometbft"], str(self.home)),
        }[name]
        return [self.toolchain["node_python"], "-m", module, *arguments]

    def start(self, *names: str) -> None:
        """Start programs that do not run; their order does not matter."""
        for name in names:
            self.kill(name)
            with (self.folder / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [*self.toolchain.as_account, *self.command(name)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    env={
                        **os.environ,
                        "XIAN_BDS_DSN": self.dsn,
                        **self.environment.get(name, {}),
                    },
                    start_new_session=True,
                )

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """End a program at once, as a crash would, with all processes of its group."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        family = descendants(process.pid)
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.killpg(process.pid, how)
        process.wait(timeout=30)
        # PostgreSQL's have groups of their own and end by themselves; a new one starts only then.
        wait_until(lambda: not any(map(exists, family)), 30, f"what {name} started has ended")

    def pid(self, name: str) -> int:
        """The process id of a program that runs."""
        return self._processes[name].pid

    def child(self, name: str) -> int:
        """The process id of what a launcher runs, the postmaster or CometBFT."""
        program = {"postgres": "postgres", "cometbft": "cometbft"}[name]
        for child in children(self.pid(name)):
            if Path(f"/proc/{child}/comm").read_text().strip() == program:
                return child
        raise LookupError(f"{name} runs no {program}")

    def running(self, name: str) -> bool:
        """Whether a program that was started has not ended."""
        return name in self._processes and self._processes[name].poll() is None

    def close(self) -> None:
        """End everything and remove the folder."""
        for name in reversed(PROGRAMS):
            self.kill(name)
        shutil.rmtree(self.folder)

    def postgres(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL on the index's database; raises `CalledProcessError`."""
        with self.open_postgres(program, *arguments) as process:
            output, errors = process.communicate()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, program, output, errors)

    def open_postgres(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a program of PostgreSQL on the index's database."""
        return subprocess.Popen(
            [*self.toolchain.as_account, f"{self.toolchain['postgres_bin']}/{program}", *arguments],
            env={**os.environ, "PGHOST": str(self.folder), "PGDATABASE": "xian"},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def log(self, name: str) -> str:
        """What a program has written."""
        return (self.folder / f"{name}.log").read_text(errors="replace")


@contextmanager
def running_node(chain_id: str, **settings: Any) -> Iterator[Node]:
    """A node of its own for one test or module."""
    with Node(Toolchain(), chain_id, **settings) as node:
        yield node
