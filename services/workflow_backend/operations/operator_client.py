"""Sends the operator's transactions, one after the other, each until it is in a block."""

import asyncio
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
from ..chain.wallet import lock_wallet, user_state_dir
from ..errors import NodeUnavailable, TransactionFailed
from ..settings import Settings

CALL_CHI = 20_000

SESSION_SECONDS = 900.0
"""How long everything may take: each transaction a few blocks, and a network has many wallets."""

_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What the client of the chain raises for an answer that no node gives."""

_ASSERTION = re.compile(
    r"""AssertionError(?:: |\((?P<quote>['"]))(?P<reason>.*?)(?:(?P=quote),?\))?"""
)


class OperatorClient:
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
        """Connect; raises WorkflowError where key, chain or node are wrong.

        From the control machine the node is a host's: it is believed no more than a peer.
        """
        key = settings.wallet_key()
        url = settings.node_url
        with lock_wallet(key, user_state_dir()) as account:
            try:
                async with asyncio.timeout(SESSION_SECONDS), Rpc(url, is_peer=True) as rpc:
                    node = Node(rpc, settings.contract)
                    await node.require_chain(settings.chain_id)
                    async with (
                        sessions.session(aiohttp.TCPConnector(), is_peer=True) as session,
                        XianAsync(url, settings.chain_id, Wallet(key), session=session) as client,
                    ):
                        yield cls(node, client, account.address, check=check)
            except TimeoutError:
                raise NodeUnavailable(
                    f"the node at {url} takes more than {SESSION_SECONDS:g} s"
                ) from None

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
        except _UNREADABLE as error:
            raise NodeUnavailable(
                f"can't {what}: the node at {self.node.rpc.url} answers as no node does: {error!r}"
            ) from error
        receipt = sent.receipt
        if receipt is None or not receipt.success:
            reason = receipt.message if receipt else sent.message
            raise TransactionFailed(f"can't {what}: {_plain(reason)}")


def _plain(reason: object) -> str:
    """Return the contract's reason, without the name of the Python error around it."""
    match = _ASSERTION.fullmatch(str(reason or "no reason given").strip())
    return match["reason"] if match else str(reason)
