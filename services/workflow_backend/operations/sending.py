"""Transactions of the operator, one after the other, each awaited: few, and by hand."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
from xian_py import Wallet, XianAsync
from xian_py.exception import XianException
from xian_py.models import TransactionSubmission

from ..chain import sessions
from ..chain.node import Node
from ..chain.rpc import Rpc
from ..chain.wallet import own_folder, sole_writer
from ..errors import NodeUnavailable, TransactionFailed
from ..settings import Settings

CALL_CHI = 20_000

_ASSERTION = re.compile(
    r"""AssertionError(?:: |\((?P<quote>['"]))(?P<said>.*?)(?:(?P=quote),?\))?"""
)


class Sender:
    """Sends for one account, whose only writer on this machine it is. Make it with `open`.

    With `check` nothing is sent. `changed` tells whether anything was, or would be.
    """

    def __init__(self, node: Node, client: XianAsync, address: str, *, check: bool) -> None:
        self.node = node
        self.client = client
        self.address = address
        self.changed = False
        self._check = check

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, *, check: bool = False) -> AsyncIterator[Self]:
        """Connect; raises WorkflowError where key, chain or node are wrong."""
        key = settings.wallet_key()
        with sole_writer(key, own_folder()) as account:
            async with Rpc(settings.node_url) as rpc:
                node = Node(rpc, settings.contract)
                await node.require_chain(settings.chain_id)
                async with (
                    sessions.session(aiohttp.TCPConnector()) as session,
                    XianAsync(
                        settings.node_url, settings.chain_id, Wallet(key), session=session
                    ) as client,
                ):
                    yield cls(node, client, account.address, check=check)

    async def call(
        self, what: str, contract: str, function: str, arguments: dict[str, Any]
    ) -> None:
        """Call a function; `what` says in an error what could not be done."""
        await self.do(
            what,
            lambda: self.client.send_tx(
                contract, function, arguments, chi=CALL_CHI, mode="checktx", wait_for_tx=True
            ),
        )

    async def do(self, what: str, send: Callable[[], Awaitable[TransactionSubmission]]) -> None:
        """Send a transaction; raises NodeUnavailable, or TransactionFailed with its reason."""
        self.changed = True
        if self._check:
            return
        try:
            sent = await send()
        except XianException as error:
            raise NodeUnavailable(f"can't {what}: {error}") from error
        receipt = sent.receipt
        if receipt is None or not receipt.success:
            reason = receipt.message if receipt else sent.message
            raise TransactionFailed(f"can't {what}: {_plain(reason)}")


def _plain(reason: object) -> str:
    """What the contract says, without the name of Python's error that it says it by."""
    match = _ASSERTION.fullmatch(str(reason or "no reason given").strip())
    return match["said"] if match else str(reason)
