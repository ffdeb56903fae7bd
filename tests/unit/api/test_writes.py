"""What a write is answered while nodes take transactions, and while they do not."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest

from workflow_backend.api import writes
from workflow_backend.api.backend import Writing
from workflow_backend.chain import submitter as module
from workflow_backend.chain.funds import Funds
from workflow_backend.chain.submitter import Submitter
from workflow_backend.chain.wallet import Account
from workflow_backend.errors import ProjectionMismatch
from workflow_backend.store.base import Listed

from ..services.fake_chain import KEY, Chain, Heads
from .conftest import Open, Store

SUBMISSION = {"item_id": "a", "payload_uri": "uri:a"}


@contextlib.asynccontextmanager
async def writing(chain: Any) -> AsyncIterator[Writing]:
    submitter = Submitter(chain, Heads(), Account(KEY), "chain-1")  # type: ignore[arg-type]
    async with submitter.running(drain_seconds=0.0):
        yield Writing(submitter, Funds(chain, submitter))


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.setattr(writes, "WAIT_SECONDS", 0.3)
    return Chain()


async def test_accepted_means_that_a_node_has_it(api: Open, chain: Chain) -> None:
    chain.automatic = False
    async with writing(chain) as ways:
        answer = await api(writing=ways, node=chain).post("/items", json=SUBMISSION)
        ((tx_hash, _),) = chain.mempool.values()
        assert answer.status_code == 202
        assert (answer.json()["tx_hash"], answer.json()["finalized"]) == (tx_hash, False)


async def test_what_no_node_takes_is_refused_and_never_sent_later(api: Open, chain: Chain) -> None:
    chain.refuses = "mempool is full"
    async with writing(chain) as ways:
        client = api(writing=ways, node=chain)
        answer = await client.post("/items", json=SUBMISSION)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert "nothing was done" in answer.json()["detail"]
        chain.refuses = None
        answer = await client.post("/items", json=SUBMISSION | {"item_id": "b"})
        assert answer.status_code == 201
    assert list(chain.items_there) == ["b"]


async def test_what_a_node_may_have_is_not_called_accepted(api: Open, chain: Chain) -> None:
    chain.loses_answers = True
    async with writing(chain) as ways:
        client = api(writing=ways, node=chain, store=Projection())
        answer = await client.post("/items", json=SUBMISSION)
        assert answer.status_code == 503
        assert "may be done nevertheless" in answer.json()["detail"]
        chain.loses_answers = False
        # The first is still on its way: the second finds what it did.
        assert (await client.post("/items", json=SUBMISSION | {"item_id": "b"})).status_code == 201
        assert (await client.post("/items", json=SUBMISSION)).status_code == 201
    assert list(chain.items_there) == ["a", "b"]


async def test_batch_of_which_nothing_can_be_taken_is_refused(api: Open, chain: Chain) -> None:
    chain.refuses = "mempool is full"
    items = [SUBMISSION | {"item_id": f"i-{n}"} for n in range(3)] + [{"item_id": "a.b"}]
    async with writing(chain) as ways:
        client = api(writing=ways, node=chain)
        answer = await client.post("/items/batch", json={"items": items})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        chain.refuses = None
        answer = await client.post("/items/batch", json={"items": items})
        assert (answer.status_code, answer.json()["accepted"]) == (200, 3)


async def test_batch_answers_for_each_entry_though_some_are_wrong(api: Open, chain: Chain) -> None:
    entries = [{"item_id": "b", "payload_url": "x"}, "c", SUBMISSION, {"item_id": 7}, None]
    async with writing(chain) as ways:
        client = api(writing=ways, node=chain, store=Projection())
        answer = await client.post("/items/batch", json={"items": entries})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [entry["item_id"] for entry in results] == ["b", None, "a", None, None]
    assert results[2]["accepted"]["finalized"]
    refusals = [entry["refusal"] for entry in results if entry["refusal"]]
    assert [refusal["status"] for refusal in refusals] == [422] * 4
    assert [[each["field"] for each in refusal["errors"]] for refusal in refusals] == [
        ["payload_uri", "payload_url"],
        [""],
        ["item_id", "payload_uri"],
        [""],
    ]


async def test_full_queue_says_when_to_come_again(
    api: Open, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 0)
    async with writing(chain) as ways:
        client = api(writing=ways, node=chain)
        batch = {"items": [SUBMISSION, SUBMISSION]}
        for path, body in (("/items", SUBMISSION), ("/items/batch", batch)):
            refused = await client.post(path, json=body)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
            assert "actions waiting" in refused.json()["detail"]


class Projection(Store):
    """It has the item "a", and its submissions with their transactions, newest first."""

    def __init__(self, *transactions: tuple[str, str]) -> None:
        told = transactions or (("2026-01-01 00:00:00", "AB"),)
        self._rows = [{"created_at": at, "tx_hash": tx_hash} for at, tx_hash in told]

    async def item(self, item_id: str) -> dict[str, Any] | None:
        return {} if item_id == "a" else None

    async def events(self, _: Any, limit: int = 100, cursor: str | None = None) -> Listed:
        start = int(cursor or 0)
        more = start + limit < len(self._rows)
        return Listed(self._rows[start : start + limit], str(start + limit) if more else None)


async def test_repeated_submission_costs_no_transaction(api: Open, chain: Chain) -> None:
    async with writing(chain) as ways:
        first = await api(writing=ways, node=chain).post("/items", json=SUBMISSION)
        sent = len(chain.broadcasts)
        # Another process of the same wallet: it knows of the item by the projection only.
        client = api(writing=ways, node=chain, store=Projection())
        again = await client.post("/items", json=SUBMISSION)
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json()["item"] == first.json()["item"]
        other = await client.post("/items", json=SUBMISSION | {"payload_uri": "other"})
        assert other.status_code == 409
        assert "item a" in other.json()["detail"]
        batch = (await client.post("/items/batch", json={"items": [SUBMISSION]})).json()
        assert batch["accepted"] == 1
        assert len(chain.broadcasts) == sent


async def test_item_that_only_the_projection_still_has_is_submitted(
    api: Open, chain: Chain
) -> None:
    """A chain that was restored to an older height has lost it."""
    async with writing(chain) as ways:
        client = api(writing=ways, node=chain, store=Projection())
        assert (await client.post("/items", json=SUBMISSION)).status_code == 201
    assert list(chain.items_there) == ["a"]


async def test_repeated_submission_names_the_first_of_many(api: Open, chain: Chain) -> None:
    again = [(f"2026-01-02 00:00:00.{n:06}", f"{n:064X}") for n in range(1_200)]
    store = Projection(*again, ("2026-01-01 00:00:00", "AB"))
    async with writing(chain) as ways:
        await api(writing=ways, node=chain).post("/items", json=SUBMISSION)
        answer = await api(writing=ways, node=chain, store=store).post("/items", json=SUBMISSION)
    assert (answer.status_code, answer.json()["tx_hash"]) == (201, "AB")


async def test_repeated_submission_names_no_later_one(api: Open, chain: Chain) -> None:
    """The projection's index begins late: the node's may go back further, and is asked."""
    store = Projection(("2026-01-02 00:00:00", "CD"))
    async with writing(chain) as ways:
        await api(writing=ways, node=chain).post("/items", json=SUBMISSION)
        chain.first = None
        answer = await api(writing=ways, node=chain, store=store).post("/items", json=SUBMISSION)
        assert (answer.status_code, answer.json()["tx_hash"]) == (201, None)
        chain.first = "AB"
        answer = await api(writing=ways, node=chain, store=store).post("/items", json=SUBMISSION)
        assert (answer.status_code, answer.json()["tx_hash"]) == (201, "AB")


async def test_what_the_record_rules_out_costs_no_transaction(api: Open, chain: Chain) -> None:
    async with writing(chain) as ways:
        client = api(writing=ways, node=chain)
        assert (await client.post("/items", json=SUBMISSION)).status_code == 201
        sent = len(chain.broadcasts)
        refused = await client.post("/items/a/retry")
        assert (refused.status_code, refused.json()["detail"]) == (
            409,
            "item a: the item is submitted",
        )
        assert len(chain.broadcasts) == sent


class Foreign(Store):
    """The projection of another chain, as an API may find it under its path."""

    def __getattribute__(self, name: str) -> Any:
        async def refuse(*_: Any) -> NoReturn:
            raise ProjectionMismatch

        return refuse


class Blocks:
    """What the node tells of its blocks."""

    async def committed_at(self, contract_time: str) -> str:
        return contract_time


async def test_item_is_submitted_and_shown_beside_the_projection_of_another_chain(
    api: Open, chain: Chain
) -> None:
    async with writing(chain) as ways:
        client = api(writing=ways, node=chain, store=Foreign(), blocks=Blocks())
        first = await client.post("/items", json=SUBMISSION)
        again = await client.post("/items", json=SUBMISSION)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json()["tx_hash"] == again.json()["tx_hash"]
        shown = (await client.get("/items/a")).json()
        assert (shown["item"]["status"], shown["projection"]) == ("submitted", None)
        assert (await client.get("/items")).status_code == 503
