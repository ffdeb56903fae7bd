"""More processes of the services, beside those of the stack."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from xian_py import Wallet

from workflow_backend.api import tokens

from .memory import Memory, resident

COMMAND = Path(sys.executable).with_name("workflow-backend")
CLIENT = "bench"
"""The name of the token that items are submitted with."""


@asynccontextmanager
async def process(
    service: str, memory: Memory, folder: Path, **environment: str
) -> AsyncIterator[int]:
    """Run one more process of a service, with its state in a folder of its own; give its id.

    Node, chain, contract and projection are the stack's where the environment does not say else.
    """
    log_path = folder / f"{service}.log"
    with log_path.open("wb") as log:
        running = subprocess.Popen(
            [COMMAND, service],
            stdout=log,
            stderr=log,
            env={
                "PATH": os.environ["PATH"],
                "XIAN_NODE_URL": os.environ["XIAN_NODE_URL"],
                "XIAN_CHAIN_ID": os.environ["XIAN_CHAIN_ID"],
                "XIAN_WORKFLOW_CONTRACT": os.environ["XIAN_WORKFLOW_CONTRACT"],
                "XIAN_WORKFLOW_PROJECTION_PATH": os.environ["XIAN_WORKFLOW_PROJECTION_PATH"],
                "XIAN_WORKFLOW_STATE_DIR": str(folder),
                **environment,
            },
        )
    try:
        yield running.pid
        if running.poll() is not None:
            raise RuntimeError(f"the {service} ended: {log_path.read_text(encoding='utf-8')}")
        memory.at_peak(service, running.pid)
    finally:
        running.terminate()
        running.wait(30)


@dataclass(frozen=True)
class Served:
    """An API that asks for tokens: its wallet's account, a client's token and an operator's."""

    url: str
    account: str
    client: str
    admin: str


@asynccontextmanager
async def guarded_api(
    memory: Memory, folder: Path, wallet: Wallet, **environment: str
) -> AsyncIterator[Served]:
    """Run an API as production does: a wallet of its own, tokens in a file that holds hashes."""
    file = folder / "tokens.json"
    client = tokens.add(file, CLIENT, ["read", "submit"])
    admin = tokens.add(file, "operator", ["admin"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment |= {
        "XIAN_WALLET_PRIVATE_KEY": wallet.private_key,
        "XIAN_WORKFLOW_TOKENS_FILE": str(file),
        "XIAN_WORKFLOW_API_PORT": str(port),
    }
    url = f"http://127.0.0.1:{port}"
    async with process("api", memory, folder, **environment) as pid:
        await _until_ready(url, pid)
        memory.at_rest("api", pid)
        yield Served(url, wallet.public_key, client, admin)


async def _until_ready(url: str, pid: int) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            resident(pid, "VmRSS")  # it lives
            try:
                async with session.get(f"{url}/health/live") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
