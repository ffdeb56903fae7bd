"""Submissions: repeated ones, and those beside a projection that is wrong."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

import pytest

from workflow_backend.api import tokens
from workflow_backend.errors import ProjectionMismatch

from ..chain.fake_chain import Chain
from .conftest import Open, Projection, Store, write_side

SUBMISSION = {"item_id": "a", "payload_uri": "uri:a"}


async def test_repeated_submission_costs_no_transaction(api: Open, chain: Chain) -> None:
    async with write_side(chain) as side:
        first = await api(write_side=side, node=chain).post("/items", json=SUBMISSION)
        sent = len(chain.broadcasts)
        # Another process of the same wallet: it knows of the item by the projection only.
        client = api(write_side=side, node=chain, store=Projection())
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
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain, store=Projection())
        assert (await client.post("/items", json=SUBMISSION)).status_code == 201
    assert list(chain.items_there) == ["a"]


async def test_repeated_submission_names_the_first_of_many(api: Open, chain: Chain) -> None:
    again = [(f"2026-01-02 00:00:00.{n:06}", f"{n:064X}") for n in range(1_200)]
    store = Projection(*again, ("2026-01-01 00:00:00", "AB"))
    async with write_side(chain) as side:
        await api(write_side=side, node=chain).post("/items", json=SUBMISSION)
        answer = await api(write_side=side, node=chain, store=store).post("/items", json=SUBMISSION)
    assert (answer.status_code, answer.json()["tx_hash"]) == (201, "AB")


async def test_repeated_submission_names_no_later_one(api: Open, chain: Chain) -> None:
    """The projection's index begins late: the node's may go back further, and is asked."""
    store = Projection(("2026-01-02 00:00:00", "CD"))
    async with write_side(chain) as side:
        await api(write_side=side, node=chain).post("/items", json=SUBMISSION)
        chain.first = None
        answer = await api(write_side=side, node=chain, store=store).post("/items", json=SUBMISSION)
        assert (answer.status_code, answer.json()["tx_hash"]) == (201, None)
        chain.first = "AB"
        answer = await api(write_side=side, node=chain, store=store).post("/items", json=SUBMISSION)
        assert (answer.status_code, answer.json()["tx_hash"]) == (201, "AB")


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
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain, store=Foreign(), blocks=Blocks())
        first = await client.post("/items", json=SUBMISSION)
        again = await client.post("/items", json=SUBMISSION)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json()["tx_hash"] == again.json()["tx_hash"]
        shown = (await client.get("/items/a")).json()
        assert (shown["item"]["status"], shown["projection"]) == ("submitted", None)
        assert (await client.get("/items")).status_code == 503


class SecondVersion(Chain):
    """The contract has rules for claims."""

    async def require(self, _: Collection[str]) -> None:
        return


@pytest.mark.parametrize("known", [True, False], ids=["projected", "not projected yet"])
async def test_submission_comes_after_no_item_of_another_client(
    api: Open, tmp_path: Path, *, known: bool
) -> None:
    """A batch that names the other's id once more does not make the item its own."""
    chain, file = SecondVersion(), tmp_path / "tokens.json"
    shop, spy = (
        {"Authorization": f"Bearer {tokens.add(file, name, ['read', 'submit'])}"}
        for name in ("shop", "spy")
    )
    async with write_side(chain) as side:
        store = Projection() if known else Store()
        client = api(write_side=side, node=chain, tokens=file, store=store)
        assert (await client.post("/items", json=SUBMISSION, headers=shop)).status_code == 201
        client = api(write_side=side, node=chain, tokens=file, store=store)  # another process
        spying = {"item_id": "b", "payload_uri": "p", "after": ["a"]}
        refused = await client.post("/items", json=spying, headers=spy)
        assert "after names an item that is not there" in refused.json()["detail"]
        for sibling in (SUBMISSION, {"item_id": "a"}):
            items = {"items": [sibling, spying]}
            answer = (await client.post("/items/batch", json=items, headers=spy)).json()
            details = [each["refusal"] and each["refusal"]["detail"] for each in answer["results"]]
            assert "after names an item that is not there: a" in details, details
    assert list(chain.items_there) == ["a"]


async def test_submission_comes_after_another_one_of_its_batch(api: Open, tmp_path: Path) -> None:
    chain, file = SecondVersion(), tmp_path / "tokens.json"
    shop = {"Authorization": f"Bearer {tokens.add(file, 'shop', ['submit'])}"}
    items = [SUBMISSION, {"item_id": "b", "payload_uri": "p", "after": ["a"]}]
    async with write_side(chain) as side:
        client = api(write_side=side, node=chain, tokens=file)
        answer = await client.post("/items/batch", json={"items": items}, headers=shop)
    assert answer.json()["accepted"] == 2
