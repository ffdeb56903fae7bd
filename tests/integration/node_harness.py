"""Real nodes for tests: PostgreSQL, the app and CometBFT, in a temporary folder and on free ports.

Made by the product's own programs and from the product's own profile. As root they run as the
toolchain's unprivileged account. When the test process ends, however it ends, the kernel ends them
too.
"""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml
from jinja2 import Template
from xian_py import Wallet
from xian_py.transaction import create_tx, prepare_transaction

REPO = Path(__file__).resolve().parents[2]
ROLES = REPO / "roles"
PROGRAMS = ("postgres", "abci", "cometbft")


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


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until[T](question: Callable[[], T], seconds: float, what: str) -> T:
    """Ask until the answer is true; fail with what was waited for and the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what} (last answer: {answer!r})")
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """The process ids of what a process has started and what has not ended."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid: int) -> set[int]:
    """The process ids of all that a process, or one of these, has started."""
    with suppress(FileNotFoundError):
        found = children(pid)
        return {*found, *(further for child in found for further in descendants(child))}
    return set()


def exists(pid: int) -> bool:
    """Whether there is a process of that id."""
    return Path(f"/proc/{pid}").exists()


class Client:
    """Talks to a node: `url` is its RPC, `operator_key` (hex) holds the genesis supply."""

    url: str
    chain_id: str
    operator_key: str

    def rpc(self, method: str, **params: Any) -> dict[str, Any]:
        """One JSON-RPC call; raises `OSError` while the node does not answer."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        request = Request(self.url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=30) as response:
                answer = json.load(response)
        except HTTPError as error:
            answer = json.load(error)
        if "error" in answer:
            raise OSError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def query(self, path: str) -> Any:
        """The JSON that the app answers an ABCI query with; None when it has nothing."""
        response = self.rpc("abci_query", path=path)["response"]
        if response["code"] != 0:
            raise OSError(f"{path}: {response['log']}")
        return json.loads(b64decode(response["value"])) if response.get("value") else None

    def broadcast(
        self,
        contract: str,
        function: str,
        arguments: dict[str, Any],
        *,
        wallet: Wallet | None = None,
        chi: int = 900_000,
    ) -> dict[str, Any]:
        """Sign (by default as the operator), send, wait for the block; give the app's receipt.

        Raises `OSError` when the node does not take the transaction.
        """
        wallet = wallet or Wallet(private_key=self.operator_key)
        transaction = create_tx(
            {
                "chain_id": self.chain_id,
                "contract": contract,
                "function": function,
                "kwargs": arguments,
                "nonce": self.query(f"/get_next_nonce/{wallet.public_key}"),
                "sender": wallet.public_key,
                "chi_supplied": chi,
            },
            wallet,
        )
        prepared = prepare_transaction(transaction)
        answer = self.rpc("broadcast_tx_commit", tx=b64encode(prepared.submitted_bytes).decode())
        if answer["check_tx"]["code"] != 0:
            raise OSError(answer["check_tx"]["log"])
        receipt: dict[str, Any] = json.loads(b64decode(answer["tx_result"]["data"]))
        return {**receipt, "hash": prepared.tx_hash, "height": int(answer["height"])}

    def deploy(self, name: str, source: str) -> None:
        """Put a contract on the chain; raises `OSError` with the chain's reason."""
        receipt = self.broadcast("submission", "submit_contract", {"name": name, "code": source})
        if receipt["status"] != 0:
            raise OSError(receipt["result"])

    def events(self, contract: str, event: str) -> list[dict[str, Any]]:
        """Up to 1,000 events of the index, oldest first."""
        found: list[dict[str, Any]] = self.query(
            f"/events/{contract}/{event}/limit=1000/after_id=0"
        )
        return found

    def height(self) -> int:
        """The height of the newest block."""
        return int(self.rpc("status")["sync_info"]["latest_block_height"])

    def index_level(self) -> bool:
        """Whether the index holds every block of the chain."""
        try:
            indexed = self.query("/bds_status")["indexed"]["indexed_height"]
            return bool(indexed == self.height())
        except OSError:
            return False

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until the node answers, has a block, and its index is level with the chain."""

        def ready() -> bool:
            try:
                return self.height() >= 1 and self.index_level()
            except OSError:
                return False

        wait_until(ready, seconds, f"node {self.chain_id} ready")


class Node(Client):
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
