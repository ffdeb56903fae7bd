"""The index that is written together is the one that upstream's writer makes, row for row."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from postgres_harness import running_postgres
from xian.services.bds import bds
from xian.services.bds.config import BdsConfig
from xian.services.bds.payloads import BdsBlockPayload, BdsTransactionPayload

from workflow_backend_node import index

UPSTREAM = bds.BDS._persist_transaction
TABLES = ("blocks", "transactions", "addresses", "state_changes", "state", "events", "rewards")


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with running_postgres() as dsn:
        yield dsn


async def opened(dsn: str, name: str, spool: Path, **settings: Any) -> bds.BDS:
    """An index in a new database of its own."""
    admin = await asyncpg.connect(dsn)
    await admin.execute(f"DROP DATABASE IF EXISTS {name}")
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    own = dsn.replace("/postgres?", f"/{name}?")
    made = bds.BDS(BdsConfig(dsn=own, spool_dir=str(spool), **settings))
    await made.open_storage()
    await made.reset_schema()
    return made


def transaction(height: int, tx_index: int, writes: list[tuple[str, Any]]) -> BdsTransactionPayload:
    tx_hash = f"{height:032X}{tx_index:032X}"
    payload = {"sender": "a" * 64, "nonce": height * 10 + tx_index, "contract": "con_x"}
    payload |= {"function": "apply", "kwargs": {"batch": [name for name, _ in writes]}}
    events = [
        {
            "contract": "con_x",
            "event": ("Stored", "Told")[number % 2],
            "signer": "a" * 64,
            "caller": "a" * 64,
            "data_indexed": {"key": key},
            "data": {"value": value},
        }
        for number, (key, value) in enumerate(writes)
    ]
    return BdsTransactionPayload(
        tx_index,
        {"metadata": {"signature": "00"}},
        payload,
        {
            "hash": tx_hash,
            "status": 0,
            "chi_used": 7,
            "result": "'ok'",
            "state": [{"key": f"con_x.v:{key}", "value": value} for key, value in writes],
            "events": events,
            "reward_records": [{"type": "dev", "recipient_key": "a", "value": "1.5"}],
        },
    )


def block(height: int, *writes: list[tuple[str, Any]]) -> BdsBlockPayload:
    meta = {"height": height, "hash": f"{height:064X}", "nanos": height * 10**9}
    time = datetime.fromtimestamp(1_700_000_000 + height, UTC)
    transactions = [transaction(height, number, one) for number, one in enumerate(writes)]
    return BdsBlockPayload(meta, time, "AB", transactions)


BLOCKS = [
    block(1, [("a", 1), ("b", {"x": [1, None, "y"]})], [("a", 2)]),
    # The same key several times in a transaction and in a block: each change knows the one before.
    block(2, [("a", "3"), ("a", "4"), ("c", None)], [("a", 5), ("b", True)]),
    block(3, []),
    block(4, [(f"k{n}", n) for n in range(300)]),
]


async def rows(index: bds.BDS) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for table in TABLES:
        tables = await index.db.fetch(f"SELECT * FROM {table} ORDER BY 1, 2, 3", [])  # noqa: S608
        found[table] = [dict(row) for row in tables]
    return found


async def test_batched_rows_equal_upstreams(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "FEW", 0)
    written = []
    for name, persist in (
        ("upstream", UPSTREAM),
        ("together", index._persist_transaction(UPSTREAM)),
    ):
        made = await opened(dsn, name, tmp_path / name)
        made._persist_transaction = persist.__get__(made)
        for one in BLOCKS:
            assert await made.persist_block(one)
        written.append(await rows(made))
        await made.close()
    assert written[0] == written[1]
    assert len(written[0]["state_changes"]) == 308
    assert len(written[0]["events"]) == 308


@pytest.mark.parametrize("few", [0, 9])
async def test_transaction_that_can_not_be_stored_whole_takes_no_other_with_it(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(index, "FEW", few)
    made = await opened(dsn, "odd", tmp_path)
    persist = index._persist_transaction(UPSTREAM)
    made._persist_transaction = persist.__get__(made)
    odd = [("a", 1), ("n", "9e999999"), ("b", 2)]
    assert await made.persist_block(block(1, [("a", 0)], odd, [("a", 9)]))
    tables = await rows(made)
    assert [row["value"] for row in tables["state"]] == ["9", "2"]
    changes = [row for row in tables["state_changes"] if row["key"] == "con_x.v:a"]
    assert [row["new_value"] for row in changes] == ["0", "1", "9"]
    before = [row["previous_change_id"] for row in changes]
    assert before == [None, changes[0]["change_id"], changes[1]["change_id"]]
    await made.close()


async def test_block_that_waits_is_read_from_the_spool_once(dsn: str, tmp_path: Path) -> None:
    made = await opened(dsn, "spool", tmp_path / "spool", queue_max_size=4)
    made._indexed_height = 2
    for height in range(1, 11):
        made._write_spool_file(block(height))
    read: list[str] = []
    upstream = made._read_spool_file

    def counted(path: Path) -> BdsBlockPayload:
        read.append(path.name[:20])
        return upstream(path)

    made._read_spool_file = counted
    for _ in range(3):
        await index._replay_spool(made)
    # What is indexed already is removed, and of the rest no more is read than there is room for.
    assert [int(name) for name in read] == [1, 2, 3, 4, 5, 6]
    assert sorted(made._pending_payloads) == [3, 4, 5, 6]
    assert len(list((tmp_path / "spool").glob("*.json"))) == 8
    made._pending_payloads.pop(3)
    await index._replay_spool(made)
    assert sorted(made._pending_payloads) == [3, 4, 5, 6]
    made._indexed_height = 3
    made._remove_spool_file(made._pending_payloads.pop(3))
    await index._replay_spool(made)
    assert [int(name) for name in read[6:]] == [3, 7]
    assert sorted(made._pending_payloads) == [4, 5, 6, 7]
    made._pending_payloads.clear()
    await made.close()


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("one\0two", "one\ufffdtwo"),
        ({"\0": ["\ud800"]}, {"\ufffd": ["\ufffd"]}),
        ("plain", "plain"),
    ],
)
def test_block_is_copied_only_if_a_character_must_be_replaced(value: Any, kept: Any) -> None:
    payload = block(1, [("a", value)])
    made = index.storable(payload)
    assert (made is payload) == (value == kept)
    assert json.dumps(made.transactions[0].tx_result["state"][0]["value"]) == json.dumps(kept)
