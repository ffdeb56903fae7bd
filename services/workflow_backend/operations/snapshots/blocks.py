"""What the node's own blocks say of a height, whether the node runs or not.

The app hash of the state behind a block is in the next block's header, which the validators signed.
For the newest block it is only in the node's own record of that block's results.
"""

import asyncio
import re
import subprocess
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from ...chain.cometbft import CometBft
from ...chain.rpc import Rpc
from ...errors import NodeRefused, NodeUnavailable, RecoveryRefused
from ..network.app_hashes import app_hash_after
from .index_blocks import KnownBlock, ask_blocks

INSPECT_SECONDS = 30.0
POLL_SECONDS = 0.05
_LOWEST = re.compile(r"lowest height is (\d+)")

ALTERNATIVES = (
    "without blocks an app can't be ahead: bring a home that has them (push-home.yml), "
    "or let the node fetch state and blocks from its peers (bootstrap-state-sync.yml)"
)


@dataclass(frozen=True, slots=True)
class Store:
    """The blocks that a node has: of which chain, from which height to which."""

    chain_id: str
    base: int
    height: int
    running: bool


@dataclass(frozen=True, slots=True)
class Inspection:
    """The store and what it says of one height, and the hashes of the blocks asked for.

    Beside them are the hashes of those blocks' transactions. What the store has not is None, or not
    among the hashes.
    """

    store: Store
    app_hash: str | None
    block_time: str | None
    block_hashes: dict[int, str]
    transactions: dict[int, frozenset[str]] = field(default_factory=dict)


class OwnStore:
    """The block store of a home, asked through its node or, where that is stopped, read."""

    def __init__(self, home: Path, cometbft: Path) -> None:
        self._home = home
        self._cometbft = cometbft

    def inspect(self, height: int, *blocks: int) -> Inspection:
        """Return the app hash behind a height and its block's time, and the hashes of blocks.

        Raises RecoveryRefused for a store without blocks, NodeUnavailable for one that can't be
        read.
        """
        return asyncio.run(self._inspect(height, blocks))

    def known_blocks(self, heights: Sequence[int]) -> dict[int, KnownBlock]:
        """Return what the store says of these sorted heights; raises NodeUnavailable."""

        async def ask() -> dict[int, KnownBlock]:
            async with self._node() as (node, _):
                return await ask_blocks(node, heights)

        return asyncio.run(ask())

    async def _inspect(self, height: int, blocks: Sequence[int]) -> Inspection:
        async with self._node() as (node, running):
            store = await _store(node, running=running)
            app_hash, block_time = None, None
            if store.base - 1 <= height <= store.height:
                app_hash = await app_hash_after(node, height, store.height)
            if store.base <= height <= store.height:
                block_time = (await node.header(height)).time
            hashes, transactions = {}, {}
            for block in blocks:
                if store.base <= block <= store.height:
                    answer = await node.block(block)
                    hashes[block] = answer.hash
                    transactions[block] = answer.transactions
        return Inspection(store, app_hash, block_time, hashes, transactions)

    @asynccontextmanager
    async def _node(self) -> AsyncIterator[tuple[CometBft, bool]]:
        url = rpc_url(self._home)
        async with Rpc(url) as rpc:
            node = CometBft(rpc)
            try:
                await node.require_health()
            except NodeUnavailable:
                pass
            else:
                yield node, True
                return
        async with self._inspected() as node:
            yield node, False

    @asynccontextmanager
    async def _inspected(self) -> AsyncIterator[CometBft]:
        """Serve the store of a stopped node, to this process, for as long as the block runs."""
        if not (self._home / "data" / "blockstore.db").is_dir():
            raise RecoveryRefused(f"{self._home} has no block store", hint=ALTERNATIVES)
        port = await _free_port()
        command = [str(self._cometbft), "inspect", "--home", str(self._home)]
        # It must not outlive this program: the node could not start beside it.
        process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "KILL", "--", *command),
            f"--rpc.laddr=tcp://127.0.0.1:{port}",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        last_line = asyncio.ensure_future(_last_line(process))
        try:
            async with Rpc(f"http://127.0.0.1:{port}") as rpc:
                node = CometBft(rpc)
                await self._wait(node, process, last_line)
                yield node
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
            await last_line

    async def _wait(
        self, node: CometBft, process: asyncio.subprocess.Process, last_line: asyncio.Future[str]
    ) -> None:
        deadline = asyncio.get_running_loop().time() + INSPECT_SECONDS
        while True:
            try:
                await node.require_health()
            except NodeRefused:
                return
            except NodeUnavailable:
                pass
            else:
                return
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                reason = await last_line if process.returncode is not None else "it does not answer"
                raise NodeUnavailable(
                    f"the block store of {self._home} can't be read: {reason}",
                    hint="where its node runs without an RPC, stop it",
                )
            await asyncio.sleep(POLL_SECONDS)


async def _last_line(process: asyncio.subprocess.Process) -> str:
    last = ""
    assert process.stderr is not None  # noqa: S101 - it was asked for
    async for line in process.stderr:
        last = line.decode(errors="replace").strip() or last
    return last


async def _free_port() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


def rpc_url(home: Path) -> str:
    """Return where a home's node serves its RPC; raises RecoveryRefused for what is not a home."""
    path = home / "config" / "config.toml"
    try:
        parts = urlsplit(tomllib.loads(path.read_text(encoding="utf-8"))["rpc"]["laddr"])
        host, port = str(parts.hostname), parts.port
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise RecoveryRefused(
            f"{home} is not a node's home: {path} can't be used ({type(error).__name__})",
            hint="the deployment makes it",
        ) from error
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - all addresses, this machine's own among them
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _store(node: CometBft, *, running: bool) -> Store:
    try:
        newest = await node.newest_headers()
    except NodeRefused as error:
        raise RecoveryRefused("the node's block store is empty", hint=ALTERNATIVES) from error
    if newest.height < 1 or not newest.headers:
        raise RecoveryRefused("the node's block store is empty", hint=ALTERNATIVES)
    return Store(newest.headers[0].chain_id, await _base(node), newest.height, running)


async def _base(node: CometBft) -> int:
    try:
        await node.header(1)
    except NodeRefused as error:
        lowest = _LOWEST.search(str(error))
        if lowest is None:
            raise
        return int(lowest[1])
    return 1


def require_on_chain(chain_id: str, height: int, app_hash: str, inspection: Inspection) -> None:
    """Raise RecoveryRefused where the node's blocks do not lead to a snapshot and on from it."""
    store = inspection.store
    if store.chain_id != chain_id:
        raise RecoveryRefused(
            f"the snapshot is of chain {chain_id!r}, the node of {store.chain_id!r}",
            hint="use a snapshot of this chain",
        )
    if height > store.height:
        raise RecoveryRefused(
            f"the snapshot is of height {height}, newer than the node's blocks, "
            f"which end at {store.height}",
            hint="use an older snapshot; or let the node fetch state and blocks from its peers "
            "(bootstrap-state-sync.yml)",
        )
    if height + 1 < store.base:
        raise RecoveryRefused(
            f"the snapshot is of height {height}, the node's blocks begin at {store.base}: "
            "those between are missing",
            hint="use a newer snapshot; or let the node fetch state and blocks from its peers "
            "(bootstrap-state-sync.yml)",
        )
    if inspection.app_hash != app_hash:
        raise RecoveryRefused(
            f"the chain has the app hash {inspection.app_hash} behind block {height}, "
            f"the snapshot {app_hash}",
            hint="it is of another chain of this name, or forged: use another one",
        )
