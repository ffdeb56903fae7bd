"""A typed client of CometBFT's RPC: a method for each question, a model for each answer.

An answer that does not fit its model raises NodeUnavailable, as if the node had not answered.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

from pydantic import BaseModel, ValidationError

from ..errors import NodeUnavailable
from ..validation import problems
from .cometbft_answers import (
    VALIDATORS,
    VALIDATORS_PAGE,
    AppInfo,
    Block,
    BlockMeta,
    BlockMetaPage,
    BlockResults,
    Broadcast,
    ChainStatus,
    Commit,
    CommittedTransaction,
    Header,
    HeaderPage,
    HeaderSummary,
    Mempool,
    ValidatorPage,
)
from .rpc import Rpc

PEER_SECONDS = 60.0
"""How long a peer may take for everything that one session asks."""

_REASON_CHARACTERS = 300


class CometBft:
    """Questions to one node, over a session that somebody else opens and closes."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc

    @classmethod
    @asynccontextmanager
    async def of_peer(cls, url: str, seconds: float = PEER_SECONDS) -> AsyncIterator[Self]:
        """Open a session with a node that others run.

        It takes few bytes from the node, and raises NodeUnavailable where all takes too long.
        """
        try:
            async with asyncio.timeout(seconds), Rpc(url, is_peer=True) as rpc:
                yield cls(rpc)
        except TimeoutError:
            raise NodeUnavailable(f"the node at {url} takes more than {seconds:.0f} s") from None

    async def status(self) -> ChainStatus:
        """Return where the node is."""
        return await self._ask(ChainStatus, "status")

    async def require_health(self) -> None:
        """Raise NodeUnavailable where the node does not answer, NodeRefused where it refuses."""
        await self.rpc.call("health")

    async def app_info(self) -> AppInfo:
        """Return what the app itself answers; CometBFT answers everything else without it."""
        return await self._ask(AppInfo, "abci_info")

    async def waiting_transactions(self) -> int:
        """Return how many transactions wait for a block."""
        return (await self._ask(Mempool, "num_unconfirmed_txs")).transactions

    async def header(self, height: int) -> Header:
        """Return the header of a block."""
        return await self._ask(Header, "header", height=str(height))

    async def newest_headers(self) -> HeaderPage:
        """Return the newest headers, and the height of the newest."""
        return await self._ask(HeaderPage, "blockchain")

    async def headers(self, ranges: Iterable[tuple[int, int]]) -> list[HeaderSummary]:
        """Return the headers of ranges of heights, each of at most HEADERS_PAGE."""
        answers = await self._header_pages(ranges)
        pages = [self._parse(HeaderPage, answer, "blockchain") for answer in answers]
        return [header for page in pages for header in page.headers]

    async def block_metas(self, ranges: Iterable[tuple[int, int]]) -> list[BlockMeta]:
        """Return what `headers` returns, with what binds each block's transactions to it."""
        answers = await self._header_pages(ranges)
        pages = [self._parse(BlockMetaPage, answer, "blockchain") for answer in answers]
        return [meta for page in pages for meta in page.metas]

    async def _header_pages(self, ranges: Iterable[tuple[int, int]]) -> list[Any]:
        return await self.rpc.batch(
            [
                ("blockchain", {"minHeight": str(first), "maxHeight": str(last)})
                for first, last in ranges
            ]
        )

    async def block(self, height: int) -> Block:
        """Return the hash of a block and those of its transactions."""
        return await self._ask(Block, "block", height=str(height))

    async def app_hash_of_results(self, height: int) -> str:
        """Return the app hash after a block, from the node's own record of its results."""
        results = await self._ask(BlockResults, "block_results", height=str(height))
        return results.app_hash.hex()

    async def commit(self, height: int | None = None) -> Commit:
        """Return the votes for a block, the newest one by default."""
        at_height = {} if height is None else {"height": str(height)}
        return await self._ask(Commit, "commit", **at_height)

    async def heights_voted(self, validator: str, heights: range) -> list[int]:
        """Return the heights, of some, for which a validator signed any vote."""
        answers = await self.rpc.batch([("commit", {"height": str(height)}) for height in heights])
        commits = [self._parse(Commit, answer, "commit") for answer in answers]
        return [
            height
            for height, commit in zip(heights, commits, strict=True)
            if validator in commit.voters
        ]

    async def validator_powers(self) -> dict[str, int]:
        """Return the power of each validator by the address of its key."""
        powers: dict[str, int] = {}
        for page in range(1, VALIDATORS // VALIDATORS_PAGE + 1):
            answer = await self._ask(
                ValidatorPage, "validators", page=str(page), per_page=str(VALIDATORS_PAGE)
            )
            powers |= {one.address: one.power for one in answer.validators}
            if len(powers) >= answer.total or not answer.validators:
                return powers
        raise NodeUnavailable(f"{self._node} names validators without end", hint="")

    async def broadcast(self, transaction: str) -> Broadcast:
        """Hand over a transaction in base64; NodeUnreachable says that it surely did not arrive."""
        answer = await self.rpc.write("broadcast_tx_sync", tx=transaction)
        return self._parse(Broadcast, answer, "broadcast_tx_sync")

    async def transaction(self, encoded_hash: str) -> CommittedTransaction:
        """Return a transaction that is in a block, by its hash in base64."""
        return await self._ask(CommittedTransaction, "tx", hash=encoded_hash)

    async def _ask[T: BaseModel](self, kind: type[T], method: str, **params: str) -> T:
        return self._parse(kind, await self.rpc.call(method, **params), method)

    def _parse[T: BaseModel](self, kind: type[T], answer: Any, method: str) -> T:
        try:
            return kind.model_validate(answer)
        except ValidationError as error:
            raise NodeUnavailable(
                f"{self._node} answers {method} as no node does: "
                f"{problems(error)[:_REASON_CHARACTERS]}"
            ) from None

    @property
    def _node(self) -> str:
        return f"the node at {self.rpc.url}"
