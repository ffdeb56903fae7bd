"""An index that is loaded has the blocks and transactions that the node itself has."""

import asyncio
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence

import asyncpg
import pytest
from postgres_harness import running_postgres

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots import index_blocks, swap
from workflow_backend.operations.snapshots.blocks import Inspection, OwnStore, Store
from workflow_backend.operations.snapshots.index_blocks import (
    Compared,
    KnownBlock,
    choose_heights,
    data_hash,
)
from workflow_backend.operations.snapshots.manifest import IndexPart

from . import samples

A, B, C = (one * 32 for one in ("aa", "bb", "cc"))
HASHES = {height: f"{height:064x}" for height in range(1, 6)}
INSIDE = {2: [A, B], 4: [C]}
KNOWN = {
    height: KnownBlock(HASHES[height], len(inside), data_hash(inside))
    for height in range(2, 6)
    for inside in [INSIDE.get(height, [])]
}


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with running_postgres() as dsn:
        yield dsn


async def inside(heights: Sequence[int]) -> Mapping[int, Collection[str]]:
    return {height: frozenset(INSIDE.get(height, ())) for height in heights}


def compare(
    dsn: str, *changes: str, ask: index_blocks.BlockTransactions | None = inside
) -> Compared:
    """Compare an index of five blocks, with changes, with a node that has the last four."""

    async def run() -> Compared:
        connection = await asyncpg.connect(dsn)
        try:
            async with connection.transaction():
                await connection.execute(
                    "CREATE TEMP TABLE blocks (height bigint, block_hash text) ON COMMIT DROP;"
                    "CREATE TEMP TABLE transactions (hash text, block_height bigint, tx_index int)"
                    " ON COMMIT DROP"
                )
                rows = [(height, found.upper()) for height, found in HASHES.items()]
                await connection.executemany("INSERT INTO blocks VALUES ($1, $2)", [(0, ""), *rows])
                await connection.executemany(
                    "INSERT INTO transactions VALUES ($1, $2, $3)",
                    [(B.upper(), 2, 1), (A.upper(), 2, 0), (C.upper(), 4, 0)],
                )
                for change in changes:
                    await connection.execute(change)
                return await index_blocks.require_same_blocks(KNOWN, ask, connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_index_of_this_chain_is_taken(dsn: str) -> None:
    """One without a transaction that the app could not read, too, and without blocks that went."""
    assert compare(dsn) == Compared(blocks=4, transactions=3, incomplete=0, unbound=0)
    fewer = "DELETE FROM transactions WHERE block_height = 2 AND tx_index = 0"
    assert compare(dsn, fewer) == Compared(blocks=4, transactions=2, incomplete=1, unbound=0)
    assert compare(dsn, "DELETE FROM blocks WHERE height < 3").blocks == 3


def test_index_tells_how_many_blocks_nobody_was_asked_for(dsn: str) -> None:
    changes = ("DELETE FROM transactions WHERE tx_index = 1", "UPDATE transactions SET hash = 'x'")
    forged = f"{changes[1]} WHERE block_height = 2"
    found = compare(dsn, changes[0], forged, ask=None)
    assert found == Compared(blocks=4, transactions=2, incomplete=1, unbound=1)
    with pytest.raises(RecoveryRefused, match="a transaction x in block 2, the chain has none"):
        compare(dsn, changes[0], forged)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE blocks SET block_hash = md5('x') WHERE height = 3", "has the block .* height 3"),
        ("UPDATE transactions SET hash = md5('x') WHERE block_height = 4", "in block 4 than"),
        ("UPDATE transactions SET hash = 'no hash' WHERE block_height = 4", "in block 4 than"),
        ("UPDATE transactions SET tx_index = 2 WHERE tx_index = 0", "in block 2 than"),
        ("UPDATE transactions SET block_height = 4", "in block 4 than the chain"),
        ("UPDATE transactions SET block_height = 5 WHERE block_height = 4", "in block 5 than"),
        ("DELETE FROM blocks WHERE height = 1; DELETE FROM blocks WHERE height = 3", "missing"),
        ("DELETE FROM blocks", "has 0 blocks"),
    ],
)
@pytest.mark.parametrize("ask", [inside, None])
def test_index_with_another_block_or_transaction_is_refused(
    dsn: str, change: str, message: str, ask: index_blocks.BlockTransactions | None
) -> None:
    with pytest.raises(RecoveryRefused, match=message) as refused:
        compare(dsn, change, ask=ask)
    assert "snapshots_restore_index=never" in refused.value.explain()


def test_data_hash_is_the_root_of_a_merkle_tree() -> None:
    def sha(content: bytes) -> bytes:
        return hashlib.sha256(content).digest()

    a, b, c = (sha(b"\0" + bytes.fromhex(one)) for one in (A, B, C))
    assert data_hash([]) == sha(b"").hex()
    assert data_hash([A]) == a.hex()
    assert data_hash([A, B, C]) == sha(b"\1" + sha(b"\1" + a + b) + c).hex()


def test_blocks_are_compared_all_or_at_heights_that_nobody_foresees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_blocks, "COMPARED_BLOCKS", 100)
    assert choose_heights(0, 100) == list(range(1, 101))
    assert choose_heights(7, 6) == []
    some, others = choose_heights(5, 10_000), choose_heights(5, 10_000)
    assert some != others
    for heights in (some, others):
        assert len(heights) == 100
        assert heights == sorted(set(heights))
        assert (heights[0] >= 5, heights[-1]) == (True, 10_000)


@pytest.mark.parametrize(
    ("heights", "runs"),
    [
        ([], []),
        ([4], [(4, 4)]),
        ([1, 2, 3, 7, 9, 10], [(1, 3), (7, 7), (9, 10)]),
        (range(1, 45), [(1, 20), (21, 40), (41, 44)]),
    ],
)
def test_headers_are_asked_for_by_pages(
    heights: Sequence[int], runs: list[tuple[int, int]]
) -> None:
    assert list(index_blocks._runs(heights)) == runs


@pytest.mark.parametrize(
    ("base", "height", "last"),
    [(1, 9, 5), (100, 4_000, 5_000), (900, 900, 1)],
)
def test_blocks_are_compared_from_the_nodes_first_to_the_last_that_both_have(
    base: int, height: int, last: int
) -> None:
    asked: list[int] = []

    class Blocks:
        def inspect(self, _: int, *blocks: int) -> Inspection:
            store = Store(samples.CHAIN, base, height, False)
            return Inspection(store, None, None, {}, {one: frozenset({A}) for one in blocks})

        def known_blocks(self, heights: Sequence[int]) -> dict[int, KnownBlock]:
            asked.extend(heights)
            return dict.fromkeys(heights, KnownBlock("", 0, ""))

    part = IndexPart(height=last, block_hash="ab" * 32, schema_version=7)
    store: OwnStore = Blocks()  # type: ignore[assignment]
    known, transactions = swap._own_blocks(store, part)
    assert asked == list(known) == list(range(base, min(height, last) + 1))
    assert asyncio.run(transactions([base])) == {base: {A}}
