"""Compares an index with blocks that others have: hashes, and which transactions are in a block.

A header binds the transactions: it has the root of a Merkle tree over their hashes. What the index
says beside that of a transaction, its events and its changes of the state, no header tells.
"""

import hashlib
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched, pairwise
from typing import NamedTuple

import asyncpg

from ...chain.cometbft import CometBft
from ...chain.cometbft_answers import HEADERS_PAGE
from ...errors import RecoveryRefused

COMPARED_BLOCKS = 10_000
"""Blocks that are compared: all of a chain that has no more, else as many random ones."""

INCOMPLETE_BLOCKS = 200
"""Blocks at most, of those that an index has not whole, whose transactions are asked for."""

PAGES_AT_ONCE = 500

_RANDOM = random.SystemRandom()
_BLOCKS = "SELECT height, lower(block_hash) AS hash FROM blocks WHERE height = ANY($1::bigint[])"
_COUNTS = """
SELECT block_height, count(*) AS transactions
FROM transactions WHERE block_height = ANY($1::bigint[]) GROUP BY block_height
"""
_TRANSACTIONS = """
SELECT block_height, array_agg(lower(hash) ORDER BY tx_index) AS hashes
FROM transactions WHERE block_height = ANY($1::bigint[]) GROUP BY block_height
"""
_SPAN = """
SELECT count(*) AS blocks, min(height) AS first, max(height) AS last FROM blocks WHERE height > 0
"""
_OTHER = "use another snapshot, or keep the index: -e snapshots_restore_index=never"


class KnownBlock(NamedTuple):
    """What a node says of a block: its hash, its number of transactions, and the hash of all."""

    hash: str
    transaction_count: int
    data_hash: str


type KnownBlocks = Mapping[int, KnownBlock]
"""By height."""

type BlockTransactions = Callable[[Sequence[int]], Awaitable[Mapping[int, Collection[str]]]]
"""Returns the hashes of the transactions of blocks, by height."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What of an index was compared.

    `incomplete` counts blocks of which the index has only some transactions, which the app does
    with one that it can't read. `unbound` are those of them whose transactions nobody was asked
    for, so that the rest may be others.
    """

    blocks: int
    transactions: int
    incomplete: int
    unbound: int


def choose_heights(first: int, last: int) -> list[int]:
    """Return the heights to compare, the last one among them, so that nobody can foresee which.

    Whoever made the index must not learn them before it can't change the index any more.
    """
    heights = range(max(first, 1), last + 1)
    if len(heights) <= COMPARED_BLOCKS:
        return list(heights)
    return sorted({*_RANDOM.sample(heights, COMPARED_BLOCKS - 1), last})


async def ask_blocks(node: CometBft, heights: Sequence[int]) -> dict[int, KnownBlock]:
    """Return what a node says of these sorted heights; those that it has not are left out."""
    wanted = frozenset(heights)
    known: dict[int, KnownBlock] = {}
    for ranges in batched(_runs(heights), PAGES_AT_ONCE, strict=False):
        for meta in await node.block_metas(ranges):
            if meta.height in wanted:
                known[meta.height] = KnownBlock(meta.hash, meta.transaction_count, meta.data_hash)
    return known


def _runs(heights: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of heights that follow each other, as many as are on one page."""
    if not heights:
        return
    first = heights[0]
    for height, following in pairwise(heights):
        if following != height + 1 or following - first >= HEADERS_PAGE:
            yield first, height
            first = following
    yield first, heights[-1]


def data_hash(transactions: Sequence[str]) -> str:
    """Return the hash that a header has of transactions with these hashes, all in hex."""
    return _root([bytes.fromhex(one) for one in transactions]).hex()


def _root(leaves: Sequence[bytes]) -> bytes:
    """Return the root of the Merkle tree of RFC 6962, as CometBFT makes it."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + _root(leaves[:split]) + _root(leaves[split:])).digest()


async def require_same_blocks(
    known: KnownBlocks,
    ask_transactions: BlockTransactions | None,
    connection: asyncpg.Connection,
) -> Compared:
    """Raise RecoveryRefused where an index has other blocks or transactions than are known.

    Each transaction that it has has to be in the block; not every one of a block has to be there,
    since the app leaves out what it can't read.
    """
    found = await connection.fetchrow(_SPAN)
    if not found["blocks"] or found["blocks"] != found["last"] - found["first"] + 1:
        raise RecoveryRefused(
            f"the snapshot's index has {found['blocks']} blocks from {found['first']} to "
            f"{found['last']}: some are missing",
            hint=_OTHER,
        )
    heights = sorted(known)
    rows = await connection.fetch(_BLOCKS, heights)
    for row in rows:
        expected = known[row["height"]].hash
        if row["hash"] != expected:
            raise RecoveryRefused(
                f"the snapshot's index has the block {row['hash']} at height {row['height']}, "
                f"the chain {expected}",
                hint=_OTHER,
            )
    indexed = sorted(row["height"] for row in rows)
    for row in await connection.fetch(_COUNTS, indexed):  # before all of them are fetched
        if row["transactions"] > known[row["block_height"]].transaction_count:
            raise _other_transactions(row["block_height"])
    transactions = {
        row["block_height"]: row["hashes"] for row in await connection.fetch(_TRANSACTIONS, indexed)
    }
    incomplete = [
        height
        for height in indexed
        if not _is_whole(height, transactions.get(height, ()), known[height])
    ]
    partial = [height for height in incomplete if height in transactions]
    asked: Collection[int] = ()
    if ask_transactions is not None and partial:
        some = _RANDOM.sample(partial, min(len(partial), INCOMPLETE_BLOCKS))
        asked = await _require_within(sorted(some), transactions, ask_transactions)
    return Compared(
        blocks=len(rows),
        transactions=sum(map(len, transactions.values())),
        incomplete=len(incomplete),
        unbound=len(partial) - len(asked),
    )


def _is_whole(height: int, hashes: Sequence[str], known: KnownBlock) -> bool:
    """Whether an index has all transactions of a block; raises RecoveryRefused for others."""
    if len(hashes) < known.transaction_count:
        return False
    try:
        same = data_hash(hashes) == known.data_hash
    except ValueError:  # one is not a hash
        same = False
    if not same:
        raise _other_transactions(height)
    return True


def _other_transactions(height: int) -> RecoveryRefused:
    return RecoveryRefused(
        f"the snapshot's index has other transactions in block {height} than the chain",
        hint=_OTHER,
    )


async def _require_within(
    heights: Sequence[int],
    transactions: Mapping[int, Sequence[str]],
    ask_transactions: BlockTransactions,
) -> Collection[int]:
    """Require that the index has nothing in these blocks but what is in them."""
    answers = await ask_transactions(heights)
    for height, inside in answers.items():
        if strange := [one for one in transactions[height] if one not in inside]:
            raise RecoveryRefused(
                f"the snapshot's index has a transaction {strange[0]} in block {height}, the "
                "chain has none such",
                hint=_OTHER,
            )
    return answers
