"""Answers to writes while nodes take transactions, and while they do not."""

from pathlib import Path

import pytest

from workflow_backend.api import tokens
from workflow_backend.chain import submitter as module

from ..chain.fake_chain import Chain
from .conftest import Open, Projection, write_side

SUBMISSION = {"item_id": "a", "payload_uri": "uri:a"}


async def test_write_is_accepted_once_a_node_has_it(api: Open, chain: Chain) -> None:
    chain.automatic = False
    async with write_side(chain) as side:
        answer = await api(write_side=side, node=chain).post("/items", json=SUBMISSION)
        ((tx_hash, _),) = chain.mempool.values()
        assert answer.status_code == 202
        assert (answer.json()["tx_hash"], answer.json()["finalized"]) == (tx_hash, False)


async def test_write_that_no_node_takes_is_withdrawn(api: Open, chain: Chain) -> None:
    chain.refuses = "mempool is full"
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain)
        answer = await client.post("/items", json=SUBMISSION)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert "nothing was done" in answer.json()["detail"]
        chain.refuses = None
        answer = await client.post("/items", json=SUBMISSION | {"item_id": "b"})
        assert answer.status_code == 201
    assert list(chain.items_there) == ["b"]


async def test_write_that_no_node_confirms_is_not_accepted(api: Open, chain: Chain) -> None:
    chain.loses_answers = True
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain, store=Projection())
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
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain)
        answer = await client.post("/items/batch", json={"items": items})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        chain.refuses = None
        answer = await client.post("/items/batch", json={"items": items})
        assert (answer.status_code, answer.json()["accepted"]) == (200, 3)


async def test_batch_answers_for_each_entry_though_some_are_wrong(api: Open, chain: Chain) -> None:
    entries = [{"item_id": "b", "payload_url": "x"}, "c", SUBMISSION, {"item_id": 7}, None]
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain, store=Projection())
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


async def test_full_queue_says_when_to_retry(
    api: Open, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 0)
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain)
        batch = {"items": [SUBMISSION, SUBMISSION]}
        for path, body in (("/items", SUBMISSION), ("/items/batch", batch)):
            refused = await client.post(path, json=body)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
            assert "actions waiting" in refused.json()["detail"]


async def test_impossible_write_costs_no_transaction(api: Open, chain: Chain) -> None:
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain)
        assert (await client.post("/items", json=SUBMISSION)).status_code == 201
        sent = len(chain.broadcasts)
        refused = await client.post("/items/a/retry")
        assert (refused.status_code, refused.json()["detail"]) == (
            409,
            "item a: the item is submitted",
        )
        assert len(chain.broadcasts) == sent


async def test_api_without_wallet_refuses_writes(api: Open) -> None:
    client = api()
    refused = await client.post("/items", json=SUBMISSION)
    assert (refused.status_code, "no wallet" in refused.json()["detail"]) == (403, True)
    refused = await client.post("/items/batch", json={"items": [SUBMISSION]})
    assert (refused.status_code, "no wallet" in refused.json()["detail"]) == (403, True)
    assert (await client.get("/projection/summary")).status_code == 200


async def test_client_acts_on_no_item_of_another(api: Open, chain: Chain, tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    shop, spy = (
        {"Authorization": f"Bearer {tokens.add(file, name, ['read', 'submit', 'cancel'])}"}
        for name in ("shop", "spy")
    )
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain, tokens=file)
        assert (await client.post("/items", json=SUBMISSION, headers=shop)).status_code == 201
        sent = len(chain.broadcasts)
        for verb in ("cancel", "retry", "stop"):
            refused = await client.post(f"/items/a/{verb}", headers=spy)
            missing = await client.post(f"/items/none/{verb}", headers=spy)
            assert (refused.status_code, missing.status_code) == (404, 404), verb
            assert refused.json()["detail"] == missing.json()["detail"].replace("none", "a")
        assert len(chain.broadcasts) == sent
