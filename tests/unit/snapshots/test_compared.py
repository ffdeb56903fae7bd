"""An index that is loaded has the blocks and transactions that the node itself has."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from postgres_harness import running_postgres

from workflow_backend.errors import RecoveryRefused
from workflow_backend.operations.snapshots import index, swapping
from workflow_backend.operations.snapshots.blocks import Look, Store
from workflow_backend.operations.snapshots.manifest import IndexPart
from workflow_backend.operations.snapshots.restoring import Step

from . import made

HASHES = {height: f"{height:064x}" for height in range(1, 6)}
KNOWN = {2: frozenset({"aa" * 32, "bb" * 32}), 4: frozenset({"cc" * 32})}


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with running_postgres() as dsn:
        yield dsn


def compare(dsn: str, *changes: str) -> None:
    """Hold an index of five blocks, with changes, against a node that has the last four."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            async with connection.transaction():
                await connection.execute(
                    "CREATE TEMP TABLE blocks (height bigint, block_hash text) ON COMMIT DROP;"
                    "CREATE TEMP TABLE transactions (hash text, block_height bigint) ON COMMIT DROP"
                )
                rows = [(height, found.upper()) for height, found in HASHES.items()]
                await connection.executemany("INSERT INTO blocks VALUES ($1, $2)", [(0, ""), *rows])
                await connection.executemany(
                    "INSERT INTO transactions VALUES ($1, $2)", [("AA" * 32, 2), ("CC" * 32, 4)]
                )
                for change in changes:
                    await connection.execute(change)
                known = {height: found for height, found in HASHES.items() if height > 1}
                look = Look(
                    Store(made.CHAIN, 2, 9, False),
                    None,
                    None,
                    known,
                    {height: KNOWN.get(height, frozenset()) for height in known},
                )
                await index.require_on_chain(look, connection)
        finally:
            await connection.close()

    asyncio.run(run())


def test_an_index_of_this_chain_is_taken(dsn: str) -> None:
    """One without a transaction that the app could not read, too, and without blocks that went."""
    compare(dsn)
    compare(dsn, "DELETE FROM blocks WHERE height < 3")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE blocks SET block_hash = md5('x') WHERE height = 3", "has the block .* height 3"),
        ("UPDATE transactions SET hash = md5('x') WHERE block_height = 4", "in block 4, the chain"),
        ("UPDATE transactions SET block_height = 4", "in block 4, the chain has none such"),
        ("DELETE FROM blocks WHERE height = 1; DELETE FROM blocks WHERE height = 3", "missing"),
    ],
)
def test_another_block_or_transaction_is_refused(dsn: str, change: str, said: str) -> None:
    with pytest.raises(RecoveryRefused, match=said) as refused:
        compare(dsn, change)
    assert "index: never" in refused.value.explain()


@pytest.mark.parametrize(
    ("base", "height", "last"),
    [(1, 9, 5), (100, 10_000, 5_000), (1, 10_000, 20_000), (900, 900, 1)],
)
def test_blocks_are_compared_from_the_nodes_first_to_the_last_that_both_have(
    monkeypatch: pytest.MonkeyPatch, base: int, height: int, last: int
) -> None:
    class Blocks:
        def __init__(self, *_: object) -> None:
            pass

        def look(self, _: int, *blocks: int) -> Look:
            return Look(
                Store(made.CHAIN, base, height, False), None, None, dict.fromkeys(blocks, "")
            )

    monkeypatch.setattr(swapping, "OwnStore", Blocks)
    step = Step(home=Path("home"), node_python=Path("python"), cometbft=Path("cometbft"))
    part = IndexPart(height=last, block_hash="ab" * 32, schema_version=7)
    compared = sorted(swapping._known_blocks(step, part).block_hashes)
    common = min(height, last)
    assert len(compared) <= swapping.COMPARED + 2
    assert compared[-1:] == ([common] if common >= base else [])
    assert all(base <= one <= common for one in compared)
    if common - base > swapping.COMPARED:
        assert compared[0] < base + (common - base) // 10
