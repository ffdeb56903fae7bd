"""The services as processes on a real node, for tests that start, stop and kill them."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
from node_harness import Node
from openapi_harness import Description
from processes import free_port
from xian_py import Wallet, XianAsync

from workflow_backend.contract_versions import VERSIONS, ContractVersion

CONTRACTS = Path(__file__).parents[3] / "contracts"
CONTRACT_SOURCE = CONTRACTS / VERSIONS[0].file
FIRST, NEWEST = VERSIONS[0], VERSIONS[-1]


async def eventually[T](
    check: Callable[[], Awaitable[T | None]], what: str, seconds: float = 60.0
) -> T:
    """Await a condition; fails naming what did not come."""
    deadline = time.monotonic() + seconds
    while True:
        found = await check()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not come in {seconds:g} s"
        await asyncio.sleep(0.05)


async def deploy(
    node: Node, contract: str, workers: list[str], version: ContractVersion = FIRST
) -> None:
    """Deploy the contract under a name and add workers, as the SDK documents it."""
    async with operator(node) as client:
        source = (CONTRACTS / version.file).read_text()
        sent = await client.deploy_contract(contract, source, mode="checktx", wait_for_tx=True)
        assert sent.finalized, sent.message
    for worker in workers:
        await set_worker(node, contract, "add_worker", worker)


async def set_worker(node: Node, contract: str, function: str, account: str) -> None:
    """Call `add_worker` or `remove_worker` of the contract, as its operator."""
    await operate(node, contract, function, account=account)


async def operate(node: Node, contract: str, function: str, **arguments: Any) -> None:
    """Call a function of the contract as its operator."""
    async with operator(node) as client:
        sent = await client.send_tx(contract, function, arguments, mode="checktx", wait_for_tx=True)
        assert sent.finalized, sent.message


def operator(node: Node) -> XianAsync:
    """Return a client with the operator's wallet."""
    return XianAsync(node.url, chain_id=node.chain_id, wallet=Wallet(node.operator_key))


@dataclass
class Stack:
    """Processor, handlers, projector and API of one contract.

    `path` is a folder of its own; `handlers` is the text of the handlers' file. `notify` names the
    service manager's socket for a service.
    """

    node_url: str
    chain_id: str
    contract: str
    path: Path
    keys: dict[str, str] = field(
        default_factory=lambda: {name: Wallet().private_key for name in ("api", "processor")}
    )
    port: int = field(default_factory=free_port)
    extra: dict[str, str] = field(default_factory=dict)
    notify: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    handlers: str = '[job]\nhandler = "echo"\n'
    description: Description | None = None
    command: ClassVar = Path(sys.executable).with_name("workflow-backend")

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def worker(self) -> str:
        """The processor's account."""
        address: str = Wallet(self.keys["processor"]).public_key
        return address

    def environment(self, service: str) -> dict[str, str]:
        """The service's environment, nothing of the test's own but PATH in it."""
        if service == "handlers":
            return {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self.path),
                "XIAN_WORKFLOW_HANDLERS": str(self.path / "handlers.toml"),
                "XIAN_WORKFLOW_HANDLERS_SOCKET": str(self.path / "handlers.sock"),
                "XIAN_WORKFLOW_STATE_DIR": str(self.path / service),
            }
        environment = {
            "PATH": os.environ["PATH"],
            "XIAN_NODE_URL": self.node_url,
            "XIAN_CHAIN_ID": self.chain_id,
            "XIAN_WORKFLOW_CONTRACT": self.contract,
            "XIAN_WORKFLOW_PROJECTION_PATH": str(self.path / "projection.sqlite3"),
            "XIAN_WORKFLOW_STATE_DIR": str(self.path / service),
            "XIAN_WORKFLOW_API_PORT": str(self.port),
            "XIAN_WORKFLOW_HANDLERS_SOCKET": str(self.path / "handlers.sock"),
            **self.extra,
        }
        if service in self.keys:
            environment["XIAN_WALLET_PRIVATE_KEY"] = self.keys[service]
        return environment

    def start(self, *services: str) -> None:
        """Start services, an option behind the name if need be; does not wait for them."""
        (self.path / "handlers.toml").write_text(self.handlers)
        for command in services:
            service, *options = command.split()
            with (self.path / f"{service}.log").open("ab") as log:
                self.running[service] = subprocess.Popen(
                    [self.command, service, *options],
                    env=self.environment(service) | self._manager(service),
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def _manager(self, service: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.notify[service]} if service in self.notify else {}

    async def ready(self) -> None:
        """Wait until the API answers for all of its parts."""

        async def healthy() -> bool:
            with contextlib.suppress(aiohttp.ClientError, AssertionError):
                return bool((await self.get("/health"))["status"] == "ok")
            return False

        await eventually(healthy, "a healthy API", 30)

    def end(self, service: str, number: signal.Signals) -> int:
        """Send a signal, wait for the end and return the exit code."""
        process = self.running.pop(service)
        process.send_signal(number)
        return process.wait(30)

    def end_all(self) -> None:
        """Leave nothing running."""
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait(30)
        self.running.clear()

    def log(self, service: str) -> str:
        """Return what a service logged."""
        return (self.path / f"{service}.log").read_text()

    async def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Return status, body and headers of one request; fails where the API does not declare it.

        The API's description is asked for once: an application does not change it.
        """
        async with aiohttp.ClientSession(self.url) as session:
            if self.description is None:
                async with session.get("/openapi.json") as response:
                    self.description = Description(await response.json())
            async with session.request(method, path, json=body, headers=headers) as response:
                answer = await response.read()
                kind = response.headers["Content-Type"]
                self.description.check(method, path, response.status, kind, answer)
                # Metrics are not JSON: whoever asks for them reads nothing but the status here.
                parsed = json.loads(answer) if "json" in kind else {}
                return response.status, parsed, dict(response.headers)

    async def get(self, path: str) -> dict[str, Any]:
        """Return the body of a request that must succeed."""
        status, body, _ = await self.request("GET", path)
        assert status == 200, body
        return body

    async def submit_many(self, ids: list[str], in_flight: int) -> dict[str, int]:
        """POST items side by side; return the status of each, 0 where no answer came."""
        gate = asyncio.Semaphore(in_flight)
        statuses: dict[str, int] = {}

        async def submit(session: aiohttp.ClientSession, item_id: str) -> None:
            body = {"item_id": item_id, "payload_uri": f"https://example.org/{item_id}"}
            async with gate:
                try:
                    async with session.post(f"{self.url}/items", json=body) as response:
                        statuses[item_id] = response.status
                except aiohttp.ClientError:
                    statuses[item_id] = 0

        connector = aiohttp.TCPConnector(limit=in_flight)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(submit(session, item_id) for item_id in ids))
        return statuses

    async def all_completed(self, ids: list[str], seconds: float = 120.0) -> None:
        """Wait until every item is projected as completed."""

        async def done() -> bool:
            listed: set[str] = set()
            path = "/items?status=completed&limit=500"
            page = await self.get(path)
            while True:
                listed |= {item["item_id"] for item in page["items"]}
                if page["next_cursor"] is None:
                    return set(ids) <= listed
                page = await self.get(f"{path}&cursor={page['next_cursor']}")

        await eventually(done, f"completion of {len(ids)} items", seconds)


async def projection(stack: Stack, action: str, **environment: str) -> tuple[int, list[Any], str]:
    """Run `workflow-backend projection ...`; return its exit code, its JSON lines, its log."""
    process = await asyncio.create_subprocess_exec(
        stack.command,
        "projection",
        action,
        env=stack.environment("operator") | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, log = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], log.decode()


def change(stack: Stack, sql: str) -> None:
    """Change the projection's file behind everybody's back."""
    database = sqlite3.connect(stack.path / "projection.sqlite3", timeout=10)
    with database:
        database.executescript(sql)
    database.close()


@contextlib.asynccontextmanager
async def fresh_stack(
    node: Node, path: Path, version: ContractVersion = FIRST
) -> AsyncIterator[Stack]:
    """A contract of its own and services that are not started yet."""
    stack = Stack(node.url, node.chain_id, f"con_{uuid.uuid4().hex[:12]}", path)
    await deploy(node, stack.contract, [stack.worker], version)
    try:
        yield stack
    finally:
        stack.end_all()
