"""Two APIs with a wallet each serve the same clients: a token's items are its own on both."""

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from node_harness import Node
from xian_py import Wallet

from workflow_backend.chain.node import Node as Reader
from workflow_backend.chain.rpc import Rpc

from .stack import Stack, eventually, fresh_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Twins:
    """Two APIs of one contract, as on two hosts; they share a projection and the tokens' file."""

    node: Node
    one: Stack
    two: Stack

    @property
    def tokens(self) -> Path:
        return self.one.path / "tokens.json"

    def wallets(self) -> str:
        """The setting that both have."""
        keys = (self.one.keys["api"], self.two.keys["api"])
        return ",".join(Wallet(key).public_key for key in keys)

    def token(self, name: str, *scopes: str) -> dict[str, str]:
        """Make a token, or a new one of that name; returns the header that shows it."""
        done = subprocess.run(
            [self.one.command, "tokens", "add", name, *(f"--scope={scope}" for scope in scopes)],
            env=self.one.environment("api"),
            check=True,
            capture_output=True,
            text=True,
        )
        return {"Authorization": f"Bearer {done.stdout.strip()}"}


def submission(item_id: str, **fields: str) -> dict[str, str]:
    return {"item_id": item_id, "payload_uri": f"uri:{item_id}", **fields}


async def ids(api: Stack, token: dict[str, str], path: str = "/items") -> set[str]:
    status, page, _ = await api.request("GET", path, headers=token)
    assert status == 200, page
    rows: list[dict[str, Any]] = page["items"] if "items" in page else page["events"]
    return {row["item_id"] for row in rows}


async def sees(api: Stack, token: dict[str, str], *item_ids: str) -> None:
    async def there() -> bool:
        return set(item_ids) <= await ids(api, token)

    await eventually(there, f"{item_ids} in the list")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(node: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async with fresh_stack(node, tmp_path_factory.mktemp("one")) as one:
        two = Stack(node.url, node.chain_id, one.contract, tmp_path_factory.mktemp("two"))
        twins = Twins(node, one, two)
        for api in (one, two):
            api.extra = {
                "XIAN_WORKFLOW_API_WALLETS": twins.wallets(),
                "XIAN_WORKFLOW_TOKENS_FILE": str(twins.tokens),
                "XIAN_WORKFLOW_PROJECTION_PATH": str(one.path / "projection.sqlite3"),
            }
        twins.token("first", "read")
        one.start("projector", "api")
        two.start("api")
        try:
            await one.ready()
            await two.ready()
            yield twins
        finally:
            two.end_all()


async def test_a_token_sees_and_cancels_its_own_items_on_both(twins: Twins) -> None:
    shop = twins.token("shop", "read", "submit", "cancel")
    bank = twins.token("bank", "read", "submit", "cancel")
    assert (await twins.one.request("POST", "/items", submission("s-1"), shop))[0] == 201
    assert (await twins.two.request("POST", "/items", submission("s-2"), shop))[0] == 201
    assert (await twins.two.request("POST", "/items", submission("b-1"), bank))[0] == 201
    for api in (twins.one, twins.two):
        await sees(api, shop, "s-1", "s-2")
        await sees(api, bank, "b-1")
        assert await ids(api, shop) == {"s-1", "s-2"}
        assert await ids(api, bank) == {"b-1"}
        assert await ids(api, shop, "/activity/recent") == {"s-1", "s-2"}
        assert await ids(api, shop, "/items/s-2/activity") == {"s-2"}
        status, summary, _ = await api.request("GET", "/projection/summary", headers=shop)
        assert (status, summary["submitted_count"], summary["item_count"]) == (200, 2, 2)
        for method, path in (
            ("GET", "/items/b-1"),
            ("GET", "/items/b-1/activity"),
            ("POST", "/items/b-1/cancel"),
            ("POST", "/items/b-1/retry"),
        ):
            status, problem, _ = await api.request(method, path, headers=shop)
            assert (status, "b-1" in problem["detail"]) == (404, True), (method, path)
    # Each cancels what the other one's wallet submitted.
    assert (await twins.two.request("POST", "/items/s-1/cancel", headers=shop))[0] == 200
    assert (await twins.one.request("POST", "/items/s-2/cancel", headers=shop))[0] == 200


async def test_the_administrator_sees_all_and_asks_for_those_of_a_client(twins: Twins) -> None:
    admin, mail = twins.token("chief", "admin"), twins.token("mail", "submit", "read")
    assert (await twins.one.request("POST", "/items", submission("m-1"), mail))[0] == 201
    assert (await twins.two.request("POST", "/items", submission("c-1"), admin))[0] == 201
    await sees(twins.two, admin, "m-1", "c-1")
    assert await ids(twins.two, admin, "/items?client=mail") == {"m-1"}
    assert await ids(twins.two, mail, "/items?client=mail") == {"m-1"}
    for path in ("/items?client=chief", "/activity/recent?client=chief"):
        assert (await twins.two.request("GET", path, headers=mail))[0] == 403
    status, answer, _ = await twins.two.request("POST", "/items/m-1/cancel", headers=admin)
    assert (status, answer["item"]["client"]) == (200, "mail")


async def test_the_same_request_to_the_other_answers_as_the_first_time(twins: Twins) -> None:
    again, other = twins.token("again", "submit"), twins.token("other", "submit")
    first = await twins.one.request("POST", "/items", submission("a-1"), again)
    assert first[0] == 201
    second = await twins.two.request("POST", "/items", submission("a-1"), again)
    assert second[:2] == first[:2]
    for body, token in ((submission("a-1", kind="other"), again), (submission("a-1"), other)):
        assert (await twins.two.request("POST", "/items", body, token))[0] == 409


async def test_what_a_token_submitted_stays_its_own(twins: Twins) -> None:
    """Over a new token of the same name and a projection that is made anew."""
    stays = twins.token("stays", "submit")
    assert (await twins.one.request("POST", "/items", submission("st-1"), stays))[0] == 201
    done = subprocess.run(
        [twins.one.command, "projection", "rebuild"],
        env=twins.one.environment("projector"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    renewed = twins.token("stays", "read")
    await sees(twins.one, renewed, "st-1")
    assert await ids(twins.two, renewed) == {"st-1"}
    assert (await twins.two.request("GET", "/items", headers=stays))[0] == 401


async def test_whoever_writes_our_name_on_the_chain_is_not_of_us(twins: Twins) -> None:
    real = twins.token("real", "read", "submit", "cancel")
    twins.node.broadcast(
        twins.one.contract,
        "submit_item",
        {"item_id": "forged", "payload_uri": "p", "client": "real"},
        wallet=Wallet(),
    )
    assert (await twins.one.request("POST", "/items", submission("real-1"), real))[0] == 201
    await sees(twins.one, real, "real-1")
    assert await ids(twins.one, real) == {"real-1"}
    assert (await twins.one.request("GET", "/items/forged", headers=real))[0] == 404
    _, summary, _ = await twins.one.request("GET", "/projection/summary", headers=real)
    assert summary["item_count"] == 1


async def test_a_stream_tells_a_token_of_its_own_items_until_it_is_taken_back(
    twins: Twins,
) -> None:
    mine, yours = twins.token("mine", "read", "submit"), twins.token("yours", "submit")
    streamed: list[dict[str, Any]] = []
    async with (
        aiohttp.ClientSession(headers=mine) as session,
        session.get(f"{twins.two.url}/stream", headers={"Last-Event-ID": "0"}) as response,
    ):
        assert response.status == 200
        for item_id, token in (("my-1", mine), ("your-1", yours), ("my-2", mine)):
            assert (await twins.one.request("POST", "/items", submission(item_id), token))[0] == 201
        async with asyncio.timeout(60):
            while len(streamed) < 2:
                line = (await response.content.readline()).decode()
                if line.startswith("data: "):
                    streamed.append(json.loads(line.removeprefix("data: ")))
            twins.token("mine", "read")
            assert b"data:" not in await response.content.read()  # it ends
    assert [event["item_id"] for event in streamed] == ["my-1", "my-2"]


async def test_the_agents_are_those_of_the_setting(twins: Twins) -> None:
    one, two = twins.wallets().split(",")
    third = Wallet().public_key

    async def agents(account: str) -> list[str]:
        async with Rpc(twins.node.url) as rpc:
            return await Reader(rpc, twins.one.contract).agents(account)

    assert await agents(one) == [two]
    assert await agents(two) == [one]
    for setting, expected in ((f"{one},{two},{third}", {one, third}), (f"{one},{two}", {one})):
        await asyncio.to_thread(twins.two.end, "api", signal.SIGTERM)
        twins.two.extra["XIAN_WORKFLOW_API_WALLETS"] = setting
        twins.two.start("api")
        await twins.two.ready()
        assert set(await agents(two)) == expected


async def test_clients_of_an_api_with_another_key_keep_what_they_submitted(
    twins: Twins, tmp_path: Path
) -> None:
    shop = twins.token("moved", "read", "submit", "cancel")
    before = await twins.one.request("POST", "/items", submission("moved-1"), shop)
    assert before[0] == 201
    await sees(twins.one, shop, "moved-1")
    changed = Stack(twins.node.url, twins.node.chain_id, twins.one.contract, tmp_path)
    former = Wallet(twins.one.keys["api"]).public_key
    changed.extra = {
        "XIAN_WORKFLOW_API_FORMER_WALLETS": former,
        "XIAN_WORKFLOW_TOKENS_FILE": str(twins.tokens),
        "XIAN_WORKFLOW_PROJECTION_PATH": twins.one.extra["XIAN_WORKFLOW_PROJECTION_PATH"],
    }
    try:
        changed.start("api")
        await changed.ready()
        assert await ids(changed, shop) == {"moved-1"}
        assert (await changed.request("GET", "/items/moved-1", headers=shop))[0] == 200
        assert (await changed.request("POST", "/items", submission("moved-1"), shop))[:2] == before[
            :2
        ]
        # It gets no right on the chain: those have the old key's agents and the operator.
        assert (await changed.request("POST", "/items/moved-1/cancel", {}, shop))[0] == 403
        async with Rpc(twins.node.url) as rpc:
            reader = Reader(rpc, twins.one.contract)
            assert former not in await reader.agents(Wallet(changed.keys["api"]).public_key)
    finally:
        changed.end_all()
