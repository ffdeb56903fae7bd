"""The submitter against a node that refuses, forgets and answers oddly, as real ones rarely do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import pytest

from workflow_backend.chain import submitter as module
from workflow_backend.chain.submitter import Submitter
from workflow_backend.chain.wallet import Account
from workflow_backend.errors import NodeUnavailable, Overloaded, TransactionFailed
from workflow_backend.items import Outcome

from .fake_chain import KEY, BlockSubscription, Chain, new, until


@contextlib.asynccontextmanager
async def submitting(chain: Chain) -> AsyncIterator[Submitter]:
    account = Account(KEY)
    made = Submitter(chain, BlockSubscription(), account, "chain-1")  # type: ignore[arg-type]
    async with made.running(drain_seconds=1.0):
        yield made


async def all_of(submitter: Submitter, *ids: str) -> list[Outcome | BaseException]:
    async with asyncio.timeout(20):
        return await asyncio.gather(
            *(submitter.submit(new(item_id)) for item_id in ids), return_exceptions=True
        )


def codes(results: Sequence[Outcome | BaseException]) -> list[str]:
    return [result.code if isinstance(result, Outcome) else repr(result) for result in results]


async def test_submitter_refuses_overload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 6)
    chain = Chain()
    async with submitting(chain) as submitter:
        pending_actions = [submitter.enqueue(new(f"i-{n}")) for n in range(3)]
        assert submitter.waiting == 3
        with pytest.raises(Overloaded, match="3 actions waiting"):
            submitter.enqueue(new("i-3"))
        async with asyncio.timeout(20):
            assert all([(await pending_action.outcome()).ok for pending_action in pending_actions])
        assert codes(await all_of(submitter, "i-3")) == ["ok"]


@pytest.mark.parametrize("refusal", ["Too many pending transactions", "mempool is full"])
async def test_submitter_waits_for_full_mempool(refusal: str) -> None:
    chain = Chain()
    chain.refusals = [refusal, refusal]
    async with submitting(chain) as submitter:
        assert codes(await all_of(submitter, "a", "b")) == ["ok", "ok"]
    assert len(chain.broadcasts) == 3
    assert {payload["nonce"] for payload in chain.broadcasts} == {0}


async def test_submitter_adopts_expected_nonce() -> None:
    chain = Chain()
    async with submitting(chain) as submitter:
        assert codes(await all_of(submitter, "a")) == ["ok"]
        chain.nonce += 3  # somebody else wrote with this wallet
        assert codes(await all_of(submitter, "b")) == ["ok"]
    assert [payload["nonce"] for payload in chain.broadcasts] == [0, 1, 4]


async def test_submitter_raises_chi_after_exhaustion() -> None:
    chain = Chain()
    chain.fails = lambda payload: "Out of chi" if payload["chi_supplied"] < 5_000 else None
    async with submitting(chain) as submitter:
        assert codes(await all_of(submitter, "a", "b", "c")) == ["ok"] * 3
    supplied = [payload["chi_supplied"] for payload in chain.broadcasts]
    assert supplied == sorted(supplied)
    assert supplied[-1] >= 5_000


async def test_submitter_bisects_poisoned_batch() -> None:
    chain = Chain()
    chain.fails = lambda payload: (
        "no text" if "bad" in [e["item_id"] for e in payload["kwargs"]["batch"]] else None
    )
    async with submitting(chain) as submitter:
        results = await all_of(submitter, "a", "b", "bad", "c", "d")
    assert codes(results)[:2] + codes(results)[3:] == ["ok"] * 4
    assert isinstance(results[2], TransactionFailed)
    assert "no text" in str(results[2])


async def test_submitter_reads_truncated_answer_from_records() -> None:
    chain = Chain()
    chain.answer = lambda receipt: receipt | {"result": receipt["result"][:3]}
    async with submitting(chain) as submitter:
        assert codes(await all_of(submitter, "a", "b")) == ["ok", "ok"]
    assert len(chain.broadcasts) == 1


async def test_submitter_survives_unreadable_answer() -> None:
    chain = Chain()
    chain.answer = lambda receipt: {"result": receipt["result"], "chi_used": 1, "state": [{}]}
    async with submitting(chain) as submitter:
        (result,) = await all_of(submitter, "a")
        assert isinstance(result, TransactionFailed)
        chain.answer = lambda receipt: receipt
        assert codes(await all_of(submitter, "b")) == ["ok"]


async def test_submitter_resends_same_bytes(
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


async def test_submitter_backs_off_from_resends_that_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.02)
    monkeypatch.setattr(module, "REFUSED_SECONDS", 1.0)
    chain = Chain()
    chain.automatic = False
    async with submitting(chain) as submitter:
        first = asyncio.create_task(all_of(submitter, "a"))
        await chain.has_one()
        chain.mempool.clear()  # the node restarts
        chain.refuses = "not enough balance"
        second = asyncio.create_task(all_of(submitter, "b"))
        results = await first + await second
        # The pause doubles from 0.02 s to 1 s. Then each is tried again and fails alone.
        assert len(chain.broadcasts) <= 14
        assert all(isinstance(result, TransactionFailed) for result in results)
        chain.refuses, chain.automatic = None, True
        assert codes(await all_of(submitter, "c")) == ["ok"]
    assert {payload["nonce"] for payload in chain.broadcasts} == {0}


async def test_submitter_resends_once_the_refusal_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.02)
    chain = Chain()
    chain.automatic = False
    async with submitting(chain) as submitter:
        waiting = asyncio.create_task(all_of(submitter, "a"))
        await chain.has_one()
        chain.mempool.clear()
        chain.refuses = "not enough balance"
        await until(lambda: len(chain.broadcasts) > 2)
        chain.refuses, chain.automatic = None, True
        assert codes(await waiting) == ["ok"]
    assert all(payload == chain.broadcasts[0] for payload in chain.broadcasts)


async def test_submitter_resends_before_anything_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The refusal of the next transaction tells of the loss: nothing is waited for.
    monkeypatch.setattr(module, "STALL_SECONDS", 60.0)
    chain = Chain()
    chain.automatic = False
    async with submitting(chain) as submitter:
        first = asyncio.create_task(all_of(submitter, "a"))
        await chain.has_one()
        chain.mempool.clear()  # it restarts; what waits meanwhile is sent as soon as it is back
        chain.automatic = True
        assert codes(await all_of(submitter, "b", "c")) == ["ok", "ok"]
        assert codes(await first) == ["ok"]
    # No nonce was given to two transactions: one of them would have waited to be given up.
    by_nonce: dict[int, list[dict[str, Any]]] = {}
    for payload in chain.broadcasts:
        by_nonce.setdefault(payload["nonce"], []).append(payload["kwargs"])
    assert len(by_nonce) <= 3
    assert all(entries == entries[:1] * len(entries) for entries in by_nonce.values())


async def test_submitter_gives_up_lost_transactions_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.1)
    monkeypatch.setattr(module, "GATHER_SECONDS", 0.0)
    chain = Chain()
    chain.automatic = False
    async with submitting(chain) as submitter:
        waiting = []
        for number in range(module.MAX_IN_FLIGHT):
            waiting.append(asyncio.create_task(all_of(submitter, f"i-{number}")))
            await until(partial(lambda count: len(chain.mempool) > count, number))
        # Something else had all of their nonces.
        chain.nonce += len(chain.mempool)
        chain.mempool.clear()
        chain.automatic = True
        chain.rounds = 0
        assert [codes(await each) for each in waiting] == [["ok"]] * len(waiting)
    assert chain.rounds <= module.LOST_LOOKUPS + 1


@pytest.mark.parametrize("refusal", ["Too many pending transactions", "mempool is full"])
async def test_submitter_settles_while_mempool_is_full(refusal: str) -> None:
    chain = Chain()
    chain.automatic = False
    async with submitting(chain) as submitter:
        first = asyncio.create_task(all_of(submitter, "a"))
        await chain.has_one()
        chain.refuses = refusal
        second = asyncio.create_task(all_of(submitter, "b"))
        await until(lambda: len(chain.broadcasts) > 1)
        chain.block()
        assert codes(await first) == ["ok"]
        refused = len(chain.broadcasts)
        await asyncio.sleep(1.0)  # sends back off meanwhile
        assert 1 <= len(chain.broadcasts) - refused <= 6
        chain.refuses, chain.automatic = None, True
        assert codes(await second) == ["ok"]


async def test_pending_action_has_hash_while_accepted() -> None:
    chain = Chain()
    chain.automatic = False
    chain.refuses = "mempool is full"
    async with submitting(chain) as submitter:
        pending_action, other = submitter.enqueue(new("a")), submitter.enqueue(new("b"))
        await until(lambda: chain.broadcasts)
        assert pending_action.tx_hash is None
        assert submitter.withdraw(other)
        assert not submitter.withdraw(other)
        chain.refuses = None
        await chain.has_one()
        ((tx_hash, payload),) = chain.mempool.values()
        await until(lambda: pending_action.tx_hash == tx_hash)
        assert not submitter.withdraw(pending_action)
        assert [entry["item_id"] for entry in payload["kwargs"]["batch"]] == ["a"]
        chain.block()
        assert (await pending_action.outcome()).tx_hash == tx_hash


async def test_pending_action_without_answer_has_no_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "STALL_SECONDS", 0.05)
    chain = Chain()
    chain.loses_answers = True
    async with submitting(chain) as submitter:
        pending_action = submitter.enqueue(new("a"))
        await until(lambda: chain.broadcasts)
        assert pending_action.tx_hash is None
        assert not submitter.withdraw(pending_action)  # nobody knows whether it is on its way
        chain.loses_answers = False
        async with asyncio.timeout(20):
            assert (await pending_action.outcome()).ok
    assert {payload["nonce"] for payload in chain.broadcasts} == {0}


async def test_submitter_fails_waiters_at_its_end() -> None:
    chain = Chain()
    chain.automatic = False
    account = Account(KEY)
    made = Submitter(chain, BlockSubscription(), account, "chain-1")  # type: ignore[arg-type]
    async with made.running(drain_seconds=0.0):
        sent = made.enqueue(new("a"))
        await chain.has_one()
        chain.refuses = "mempool is full"
        unsent = made.enqueue(new("b"))
    for pending_action in (sent, unsent):
        with pytest.raises(NodeUnavailable, match="is stopping"):
            await pending_action.outcome()


async def test_submitter_repeats_lost_actions_without_effect(
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


async def test_submitter_starts_over_after_restored_chain(
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
