"""The submitter against a node that refuses, forgets and answers oddly, as real ones rarely do."""

import asyncio
import contextlib
import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from xian_py import Wallet

from workflow_backend.chain import contract
from workflow_backend.chain import submitter as module
from workflow_backend.chain.contract import Action
from workflow_backend.chain.submitter import Submitter
from workflow_backend.chain.wallet import Account
from workflow_backend.errors import NodeRefused, Overloaded, TransactionFailed
from workflow_backend.items import Item, Outcome

KEY = Wallet().private_key
ADDRESS = Wallet(KEY).public_key


def new(item_id: str) -> Action:
    return contract.submit(item_id, f"uri:{item_id}", "job", "")


class Chain:
    """A node with a block for each transaction, made when `block` is called.

    `refusals` are the node's answers to the next broadcasts, None where it takes them; `fails` says
    of a transaction in a block why it failed, and `answer` spoils its receipt.
    """

    contract = "con_job_workflow"

    def __init__(self) -> None:
        self.rpc = self
        self.items_there: dict[str, dict[str, Any]] = {}
        self.mempool: dict[int, tuple[str, dict[str, Any]]] = {}
        self.blocks: dict[str, dict[str, Any]] = {}
        self.broadcasts: list[dict[str, Any]] = []
        self.nonce = 0
        self.refusals: list[str | None] = []
        self.fails: Callable[[dict[str, Any]], str | None] = lambda _: None
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda receipt: receipt
        self.automatic = True
        self.arrived = asyncio.Event()

    async def next_nonce(self, _: str) -> int:
        return self.nonce + len(self.mempool)

    async def committed_nonce(self, _: str) -> int:
        return self.nonce - 1

    async def items(self, ids: Sequence[str]) -> list[Item | None]:
        found = [self.items_there.get(item_id) for item_id in ids]
        return [None if record is None else Item.from_record(record) for record in found]

    async def write(self, _: str, tx: str) -> dict[str, Any]:
        text = bytes.fromhex(b64decode(tx).decode())
        payload = json.loads(text)["payload"]
        self.broadcasts.append(payload)
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            return {"code": 1, "log": refusal}
        expected = await self.next_nonce("")
        if payload["nonce"] != expected and payload["nonce"] not in self.mempool:
            log = f"Transaction nonce is invalid. Expected {expected}, got {payload['nonce']}."
            return {"code": 1, "log": log}
        tx_hash = hashlib.sha256(b64decode(tx)).hexdigest().upper()
        self.mempool[payload["nonce"]] = (tx_hash, payload)
        if self.automatic:
            self.block()
        else:
            self.arrived.set()
        return {"code": 0}

    async def call(self, _: str, hash: str) -> dict[str, Any]:  # noqa: A002
        tx_hash = b64decode(hash).hex().upper()
        if tx_hash not in self.blocks:
            raise NodeRefused("tx not found")
        return self.blocks[tx_hash]

    async def has_one(self) -> None:
        """Wait until a transaction lies in the mempool."""
        async with asyncio.timeout(20):
            await self.arrived.wait()

    def block(self) -> None:
        """Put what waits into blocks."""
        while self.nonce in self.mempool:
            tx_hash, payload = self.mempool.pop(self.nonce)
            self.nonce += 1
            self.blocks[tx_hash] = self._run(payload)

    def _run(self, payload: dict[str, Any]) -> dict[str, Any]:
        failure = self.fails(payload)
        if failure is not None:
            receipt: dict[str, Any] = {"result": failure, "chi_used": 1, "state": []}
            return self._found(1, receipt)
        answers, state = "", []
        for entry in payload["kwargs"]["batch"]:
            if entry["item_id"] in self.items_there:
                answers += "h0"
                continue
            record = dict.fromkeys(Item.__slots__, "") | entry | {"requester": ADDRESS}
            record |= {"status": "submitted", "attempt": 0, "lease_seconds": 0}
            record = {name: record[name] for name in Item.__slots__}
            self.items_there[entry["item_id"]] = record
            state.append({"key": f"con_job_workflow.items:{entry['item_id']}", "value": record})
            answers += "a0"
        receipt = {"result": repr(answers), "chi_used": 500, "state": state}
        return self._found(0, self.answer(receipt))

    def _found(self, code: int, receipt: dict[str, Any]) -> dict[str, Any]:
        data = b64encode(json.dumps(receipt).encode()).decode()
        return {"height": str(self.nonce), "tx_result": {"code": code, "data": data}}


class Heads:
    """No block is announced: all is found by looking."""

    async def wait(self, seconds: float) -> bool:
        await asyncio.sleep(min(seconds, 0.01))
        return False


@contextlib.asynccontextmanager
async def submitting(chain: Chain) -> AsyncIterator[Submitter]:
    account = Account(KEY)
    made = Submitter(chain, Heads(), account, "chain-1")  # type: ignore[arg-type]
    async with made.running(drain_seconds=1.0):
        yield made


async def all_of(submitter: Submitter, *ids: str) -> list[Outcome | BaseException]:
    async with asyncio.timeout(20):
        return await asyncio.gather(
            *(submitter.submit(new(item_id)) for item_id in ids), return_exceptions=True
        )


def codes(results: Sequence[Outcome | BaseException]) -> list[str]:
    return [result.code if isinstance(result, Outcome) else repr(result) for result in results]


async def test_more_than_may_wait_is_refused_and_what_waits_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    chain = Chain()
    async with submitting(chain) as submitter:
        tickets = [submitter.enqueue(new(f"i-{n}")) for n in range(3)]
        assert submitter.waiting == 3
        with pytest.raises(Overloaded, match="3 actions wait"):
            submitter.enqueue(new("i-3"))
        async with asyncio.timeout(20):
            assert all([(await ticket.outcome()).ok for ticket in tickets])
        assert codes(await all_of(submitter, "i-3")) == ["ok"]


@pytest.mark.parametrize("refusal", ["Too many pending transactions", "mempool is full"])
async def test_a_node_that_is_full_is_waited_for(refusal: str) -> None:
    chain = Chain()
    chain.refusals = [refusal, refusal]
    async with submitting(chain) as submitter:
        assert codes(await all_of(submitter, "a", "b")) == ["ok", "ok"]
    assert len(chain.broadcasts) == 3
    assert {payload["nonce"] for payload in chain.broadcasts} == {0}


async def test_a_nonce_that_is_refused_is_taken_from_the_refusal() -> None:
    chain = Chain()
    async with submitting(chain) as submitter:
        assert codes(await all_of(submitter, "a")) == ["ok"]
        chain.nonce += 3  # somebody else wrote with this wallet
        assert codes(await all_of(submitter, "b")) == ["ok"]
    assert [payload["nonce"] for payload in chain.broadcasts] == [0, 1, 4]


async def test_a_budget_that_was_too_small_is_made_larger() -> None:
    chain = Chain()
    chain.fails = lambda payload: "Out of chi" if payload["chi_supplied"] < 5_000 else None
    async with submitting(chain) as submitter:
        assert codes(await all_of(submitter, "a", "b", "c")) == ["ok"] * 3
    supplied = [payload["chi_supplied"] for payload in chain.broadcasts]
    assert supplied == sorted(supplied)
    assert supplied[-1] >= 5_000


async def test_an_entry_that_fails_the_whole_call_fails_alone() -> None:
    chain = Chain()
    chain.fails = lambda payload: (
        "no text" if "bad" in [e["item_id"] for e in payload["kwargs"]["batch"]] else None
    )
    async with submitting(chain) as submitter:
        results = await all_of(submitter, "a", "b", "bad", "c", "d")
    assert codes(results)[:2] + codes(results)[3:] == ["ok"] * 4
    assert isinstance(results[2], TransactionFailed)
    assert "no text" in str(results[2])


async def test_an_answer_that_was_cut_off_is_read_from_the_records() -> None:
    chain = Chain()
    chain.answer = lambda receipt: receipt | {"result": receipt["result"][:3]}
    async with submitting(chain) as submitter:
        assert codes(await all_of(submitter, "a", "b")) == ["ok", "ok"]
    assert len(chain.broadcasts) == 1


async def test_an_answer_that_makes_no_sense_is_an_error_and_the_next_goes_on() -> None:
    chain = Chain()
    chain.answer = lambda receipt: {"result": receipt["result"], "chi_used": 1, "state": [{}]}
    async with submitting(chain) as submitter:
        (result,) = await all_of(submitter, "a")
        assert isinstance(result, TransactionFailed)
        chain.answer = lambda receipt: receipt
        assert codes(await all_of(submitter, "b")) == ["ok"]


async def test_what_a_mempool_lost_is_sent_again_as_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.05)
    chain = Chain()
    chain.automatic = False
    async with submitting(chain) as submitter:
        waiting = asyncio.create_task(all_of(submitter, "a", "b"))
        await chain.has_one()
        chain.mempool.clear()  # it restarts
        chain.automatic = True
        assert codes(await waiting) == ["ok", "ok"]
    assert chain.broadcasts[0] == chain.broadcasts[-1]
    assert len(chain.broadcasts) > 1


async def test_what_the_chain_passed_over_is_done_again_where_it_had_no_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.02)
    chain = Chain()
    chain.automatic = False
    async with submitting(chain) as submitter:
        waiting = asyncio.create_task(all_of(submitter, "a", "b"))
        await chain.has_one()
        # The nonce went to something else; one of the two had been done by then all the same.
        ((_, payload),) = chain.mempool.values()
        chain.mempool.clear()
        chain._run(payload | {"kwargs": {"batch": payload["kwargs"]["batch"][:1]}})
        chain.nonce += 1
        chain.automatic = True
        assert codes(await waiting) == ["ok", "ok"]
    last = chain.broadcasts[-1]
    assert [entry["item_id"] for entry in last["kwargs"]["batch"]] == ["b"]


async def test_a_chain_that_was_restored_to_before_is_written_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.02)
    chain = Chain()
    async with submitting(chain) as submitter:
        assert codes(await all_of(submitter, "a", "b")) == ["ok", "ok"]
        chain.automatic = False
        waiting = asyncio.create_task(all_of(submitter, "c"))
        await chain.has_one()
        chain.mempool.clear()
        chain.nonce = 0
        chain.blocks.clear()
        chain.items_there.clear()
        chain.automatic = True
        assert codes(await waiting) == ["ok"]
        assert codes(await all_of(submitter, "a")) == ["ok"]
    assert sorted(chain.items_there) == ["a", "c"]
